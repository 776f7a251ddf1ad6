//! Pages that come one by one go to the store together.

mod world;

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use mach_pager::Config;
use mig_runtime::platform::{self, Panicked, Platform, SpawnError, Std};
use world::{PAGE, Scripted, World, page};

/// Threads as always, but no time passes: whoever waits for a while waits until it is woken.
enum Timeless {}

type Lock = <Std as Platform>::RawMutex;

#[derive(Default)]
struct Wait(<Std as Platform>::Condvar);

impl platform::Condvar<Lock> for Wait {
    fn wait<T: ?Sized>(&self, guard: &mut lock_api::MutexGuard<'_, Lock, T>) {
        platform::Condvar::wait(&self.0, guard);
    }

    fn wait_for<T: ?Sized>(&self, guard: &mut lock_api::MutexGuard<'_, Lock, T>, _: Duration) -> bool {
        platform::Condvar::wait(&self.0, guard);
        true
    }

    fn notify_one(&self) {
        platform::Condvar::notify_one(&self.0);
    }

    fn notify_all(&self) {
        platform::Condvar::notify_all(&self.0);
    }
}

impl Platform for Timeless {
    type RawMutex = Lock;
    type Condvar = Wait;
    type Thread = <Std as Platform>::Thread;

    fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Self::Thread, SpawnError> {
        Std::spawn(name, body)
    }

    fn on_threads(name: &str, threads: NonZeroUsize, body: &(dyn Fn() + Sync)) {
        Std::on_threads(name, threads, body);
    }

    fn now() -> u64 {
        0
    }

    fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        Std::catch_unwind(body)
    }
}

/// Returns these pages, a message each.
fn give(world: &World<Scripted, Timeless>, object: &world::Object, pages: std::ops::Range<u8>) {
    for at in pages {
        object.data_return(u64::from(at) * PAGE as u64, &page(at));
        world.serve();
    }
}

#[test]
fn a_thread_that_writes_waits_for_a_whole_cluster_unless_buffers_are_few_or_it_is_to_stop() {
    // With that many buffers, this many pages are a cluster.
    for (buffers, cluster) in [(256, 64), (16, 8)] {
        let config = Config { buffers, held_pages: 0, ..Config::default() };
        let world = World::<_, Timeless>::on(Scripted::new(200), config);
        let object = world.create();
        thread::scope(|scope| {
            let writers = [(); 2].map(|()| scope.spawn(|| world.pager.serve_writes()));
            for round in 1..=2 {
                give(&world, &object, 0..cluster);
                while world.pager.statistics().written < u64::from(cluster) * round {
                    thread::yield_now();
                }
                let mut expected = [0; 12];
                expected[cluster.ilog2() as usize] = round;
                assert_eq!(world.pager.statistics().pages_a_write, expected);
            }
            give(&world, &object, 0..3);
            world.pager.stop_transfers();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            assert_eq!(world.pager.statistics().written, u64::from(cluster) * 2 + 3);
        });
        object.terminate();
        world.serve();
    }
}

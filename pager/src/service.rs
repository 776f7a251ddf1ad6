//! A pager at work: its ports served, its transfers done, each kind of work by threads of its own.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicI32, Ordering};

use mach_defs::gnu::hurd::default_pager as hurd;
use mach_defs::gnu::pager::backing_store::backing_store;
use mach_defs::gnu::{
    default_pager::default_pager, seqnos_memory_object::seqnos_memory_object,
    seqnos_memory_object_default::seqnos_memory_object_default, seqnos_notify::seqnos_notify,
};
use mig_runtime::abi::Gnu;
use mig_runtime::platform::{Platform, SpawnError, Thread};
use mig_runtime::{KernReturn, Kernel, SendRight, ServedPorts, Server, Stop};

use crate::store::Store;
use crate::{Config, Quota, SwapPager, object_calls};

/// A pager that works. Dropping it stops it.
///
/// All that is left to the host is to let the kernel know of it: [`right`](Self::right) is what
/// `vm_set_default_memory_manager` takes.
pub struct Service<K: Kernel<Abi = Gnu>, P: Platform, S: Store> {
    pager: Arc<SwapPager<K, P, S>>,
    stops: Vec<Stop<K>>,
    servers: Vec<P::Thread>,
    transfers: Vec<P::Thread>,
    /// The first error of a server.
    failure: Arc<AtomicI32>,
}

/// What a thread of a [`Service`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Serves the port that the kernel knows.
    Manager,
    /// Serves the administrators' port, for whoever has a right to it.
    Administration,
    /// Serves the objects that the kernel has made, on which the memory of the whole machine depends.
    Internal,
    /// Serves other objects, for whoever has a right to them.
    External,
    /// Reads pages from the store and supplies them, for which the kernel takes memory.
    Supplies,
    /// Writes pages to the store, on which the memory of the whole machine depends.
    Writes,
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> Service<K, P, S> {
    /// Starts a pager.
    ///
    /// # Errors
    ///
    /// [`StartError`]; what had been started is stopped then.
    pub fn start(kernel: &K, store: S, config: Config) -> Result<Self, StartError> {
        Self::start_with(kernel, store, config, Arc::new(|_| ()))
    }

    /// The same, where each thread first calls `prepare`, as to get the privileges that its duty needs.
    /// Threads that it starts itself are not told.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        kernel: &K,
        store: S,
        config: Config,
        prepare: Arc<dyn Fn(Duty) + Send + Sync>,
    ) -> Result<Self, StartError> {
        let [io_threads, internal, external] = config.threads();
        let mut service = Self {
            pager: Arc::new(SwapPager::new(kernel, store, config)?),
            stops: Vec::new(),
            servers: Vec::new(),
            transfers: Vec::new(),
            failure: Arc::default(),
        };
        for _ in 0..io_threads {
            let memory = service.pager.page_memory()?;
            let supplies = move |pager: &SwapPager<K, P, S>| pager.serve_supplies(memory);
            service.spawn_transfers(Duty::Supplies, &prepare, supplies)?;
            service.spawn_transfers(Duty::Writes, &prepare, SwapPager::serve_writes)?;
        }
        let memory = service.pager.page_memory()?;
        let supplies = move |pager: &SwapPager<K, P, S>| pager.serve_other_supplies(memory);
        service.spawn_transfers(Duty::Supplies, &prepare, supplies)?;
        let ready = prepare.clone();
        service.spawn("pager manager", move |pager, stop| {
            ready(Duty::Manager);
            let server = Server::until(pager.manager_ports(), stop)
                .with(seqnos_memory_object_default(pager))
                .with(default_pager(pager))
                .with(hurd::default_pager(pager))
                .unclaimed(|message| pager.unclaimed(message));
            inline_if(pager.config().inline, server).run_on::<P>()
        })?;
        let ready = prepare.clone();
        service.spawn("pager administration", move |pager, stop| {
            ready(Duty::Administration);
            Server::until(pager.administration_ports(), stop)
                .with(default_pager(pager))
                .with(hurd::default_pager(pager))
                .with(seqnos_notify(pager))
                .run_on::<P>()
        })?;
        let ready = prepare.clone();
        service.spawn("pager backing stores", move |pager, stop| {
            ready(Duty::Administration);
            // First, because it has numbers that the other one answers with an error.
            Server::until(pager.backing_store_ports(), stop)
                .with(backing_store(pager))
                .with(default_pager(pager))
                .with(seqnos_notify(pager))
                .run_on::<P>()
        })?;
        let ready = prepare.clone();
        service.spawn("pager internal", move |pager, stop| {
            ready(Duty::Internal);
            let server = objects_server(pager, pager.internal_ports().into(), stop, internal);
            inline_if(pager.config().inline, server).run_on::<P>()
        })?;
        service.spawn("pager external", move |pager, stop| {
            prepare(Duty::External);
            objects_server(pager, pager.external_ports().into(), stop, external).run_on::<P>()
        })?;
        Ok(service)
    }

    fn spawn_transfers(
        &mut self,
        duty: Duty,
        prepare: &Arc<dyn Fn(Duty) + Send + Sync>,
        serve: impl FnOnce(&SwapPager<K, P, S>) + Send + 'static,
    ) -> Result<(), SpawnError> {
        let (pager, prepare) = (self.pager.clone(), prepare.clone());
        let body = Box::new(move || {
            prepare(duty);
            serve(&pager);
        });
        self.transfers.push(P::spawn("pager transfers", body)?);
        Ok(())
    }

    /// Starts a thread that serves.
    fn spawn(
        &mut self,
        name: &str,
        serve: impl FnOnce(&SwapPager<K, P, S>, &Stop<K>) -> Result<(), KernReturn> + Send + 'static,
    ) -> Result<(), StartError> {
        let stop = Stop::new(self.pager.manager_port().kernel())?;
        self.stops.push(stop.clone());
        let (pager, failure) = (self.pager.clone(), self.failure.clone());
        let body = Box::new(move || {
            if let Err(code) = serve(&pager, &stop) {
                // Only the first.
                let _ = failure.compare_exchange(0, code.0, Ordering::Relaxed, Ordering::Relaxed);
            }
        });
        self.servers.push(P::spawn(name, body)?);
        Ok(())
    }

    /// The pager.
    pub fn pager(&self) -> &SwapPager<K, P, S> {
        &self.pager
    }

    /// A right to the port that the kernel is to know. Whoever has it is taken for the kernel.
    ///
    /// # Errors
    ///
    /// As `mach_port_insert_right`.
    pub fn right(&self) -> Result<SendRight<K>, KernReturn> {
        self.pager.manager_port().make_send()
    }

    /// A right to the port for administrators, and for those who want objects without a quota.
    ///
    /// # Errors
    ///
    /// As `mach_port_insert_right`.
    pub fn administration_right(&self) -> Result<SendRight<K>, KernReturn> {
        self.pager.administration_port().make_send()
    }

    /// A right for another client: see [`SwapPager::client_right`].
    ///
    /// # Errors
    ///
    /// As [`SwapPager::client_right`].
    pub fn client_right(&self, quota: Quota) -> Result<SendRight<K>, KernReturn> {
        self.pager.client_right(quota)
    }

    /// A right to the port for administrators who speak as OSF's pager is spoken to.
    ///
    /// # Errors
    ///
    /// As `mach_port_insert_right`.
    pub fn backing_store_right(&self) -> Result<SendRight<K>, KernReturn> {
        self.pager.backing_store_port().make_send()
    }

    /// Stops serving, once what was received and what is on its way to the store is done. Nothing is waited
    /// for any longer: where a device does not work, what is on its way fails, and so goes back to the kernel
    /// if that listens still.
    ///
    /// # Errors
    ///
    /// The code with which a server ended by itself.
    pub fn stop(mut self) -> Result<(), KernReturn> {
        self.end();
        self.health()
    }

    /// Whether all servers are at work.
    ///
    /// # Errors
    ///
    /// The code with which one has ended by itself.
    pub fn health(&self) -> Result<(), KernReturn> {
        KernReturn(self.failure.load(Ordering::Relaxed)).ok()
    }

    fn end(&mut self) {
        self.stops.iter().for_each(Stop::stop);
        self.pager.stop_waiting();
        join(&mut self.servers);
        self.pager.stop_transfers();
        join(&mut self.transfers);
    }
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> Drop for Service<K, P, S> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for threads. One that panicked has said so; the others are to end all the same.
fn join<T: Thread>(threads: &mut Vec<T>) {
    for thread in threads.drain(..) {
        let _ = thread.join();
    }
}

fn inline_if<K: Kernel>(inline: bool, server: Server<'_, K>) -> Server<'_, K> {
    if inline { server.inline() } else { server }
}

fn objects_server<'a, K: Kernel<Abi = Gnu>, P: Platform, S: Store>(
    pager: &'a SwapPager<K, P, S>,
    ports: ServedPorts<'a, K>,
    stop: &Stop<K>,
    threads: usize,
) -> Server<'a, K> {
    Server::until(ports, stop)
        .with(seqnos_memory_object(pager))
        .with(seqnos_memory_object_default(pager))
        .with(seqnos_notify(pager))
        .with(object_calls(pager))
        .unclaimed(|message| pager.unclaimed(message))
        .threads(threads)
}

/// Why a pager did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The kernel refused a port, or there is no memory for what the [`Config`] asks for.
    Kernel(KernReturn),
    /// The system has no room for another thread.
    Thread,
}

impl From<KernReturn> for StartError {
    fn from(code: KernReturn) -> Self {
        Self::Kernel(code)
    }
}

impl From<SpawnError> for StartError {
    fn from(_: SpawnError) -> Self {
        Self::Thread
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(code) => write!(f, "the kernel refused a port or memory to the pager: {code}"),
            Self::Thread => SpawnError.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

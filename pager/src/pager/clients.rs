//! Clients: those who ask for objects, each by a port of its own, and each with no more than its quota.
//!
//! A message does not say who has sent it, and objects do not say who maps them. So a client is whoever has
//! the right to a port that was made for it, and what counts are the objects that were asked for there.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use mig_runtime::abi::Gnu;
use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{KernReturn, Kernel, NameOf, Notification, ReceiveRight, SendRight};

use super::SwapPager;
use super::entry::{Place, Shared};
use super::growing;
use crate::notes::Others;
use crate::object::{Node, Nodes, Record, Records};
use crate::store::Store;

/// What a client may have in all of its objects together. The bounds for all objects that are not the
/// kernel's, which are in [`Config`](crate::Config), hold besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Objects. Each counts until its pages have been given back.
    pub objects: usize,
    /// Pages. Those that take no room because they are one word over and over count as well.
    pub pages: u64,
    /// Bytes for what is noted of pages, as for [`Config::map_bytes`](crate::Config::map_bytes): pages that
    /// are far apart take more of them.
    pub map_bytes: usize,
}

/// The clients that somebody may speak for.
pub(super) struct Clients<K: Kernel, P: Platform, S: Store> {
    /// The threads that serve the kernel look here, too, so nobody asks for memory with the lock in hands.
    all: Mutex<P, Vec<Client<K, P, S>>>,
}

struct Client<K: Kernel, P: Platform, S: Store> {
    port: ReceiveRight<K>,
    account: Arc<AccountOf<K, P, S>>,
}

/// What a client has. Its objects share this, and may be there longer than the port.
pub(crate) struct Account<P: Platform, L, D> {
    quota: Quota,
    objects: AtomicUsize,
    pages: AtomicU64,
    /// Nodes for what is noted of its pages, of which there are no more than `most_nodes`.
    nodes: AtomicUsize,
    most_nodes: usize,
    others: Arc<Others<P, L, D>>,
}

/// An object that counts as a client's, for as long as this is there.
pub(crate) struct Member<P: Platform, L, D>(Arc<Account<P, L, D>>);

/// What they are in a pager.
type AccountOf<K, P, S> = Account<P, Place<S>, Shared<K, P>>;
pub(crate) type MemberOf<K, P, S> = Member<P, Place<S>, Shared<K, P>>;

impl<P: Platform, L, D> Drop for Member<P, L, D> {
    fn drop(&mut self) {
        self.0.objects.fetch_sub(1, Relaxed);
    }
}

impl<P: Platform, L, D> Member<P, L, D> {
    /// The memory for what is noted of the object's pages.
    pub(super) fn account(&self) -> &Arc<Account<P, L, D>> {
        &self.0
    }
}

impl<P: Platform, L, D> Account<P, L, D> {
    /// One more object; `None` if there are as many as there may be.
    fn enter(self: &Arc<Self>) -> Option<Member<P, L, D>> {
        let one_more = |count| (count < self.quota.objects).then_some(count + 1);
        self.objects.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Member(self.clone()))
    }

    /// Counts one more page; false if there are as many as there may be.
    pub(super) fn charge(&self) -> bool {
        let one_more = |pages| (pages < self.quota.pages).then_some(pages + 1);
        self.pages.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// This many pages are there no more.
    pub(super) fn give_back(&self, pages: u64) {
        self.pages.fetch_sub(pages, Relaxed);
    }
}

impl<P: Platform, L: Send, D: Send> Nodes<L> for Account<P, L, D> {
    fn take(&self) -> Option<Box<Node<L>>> {
        let one_more = |nodes| (nodes < self.most_nodes).then_some(nodes + 1);
        self.nodes.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        let node = Nodes::take(&*self.others);
        if node.is_none() {
            self.nodes.fetch_sub(1, Relaxed);
        }
        node
    }

    fn give(&self, node: Box<Node<L>>) {
        self.nodes.fetch_sub(1, Relaxed);
        self.others.give(node);
    }
}

impl<P: Platform, L: Send, D: Send> Records<L, D> for Account<P, L, D> {
    fn put(&self, record: Record<L, D>) -> u32 {
        self.others.put(record)
    }

    fn take(&self, at: u32) -> Record<L, D> {
        Records::take(&*self.others, at)
    }
}

impl<K: Kernel, P: Platform, S: Store> Clients<K, P, S> {
    pub(super) fn new() -> Self {
        Self { all: Mutex::<P, _>::new(Vec::new()) }
    }

    /// Whether a port is a client's.
    pub(super) fn has(&self, port: NameOf<K>) -> bool {
        self.account(port).is_some()
    }

    fn account(&self, port: NameOf<K>) -> Option<Arc<AccountOf<K, P, S>>> {
        let all = self.all.lock();
        all.iter().find(|client| client.port.name() == port).map(|client| client.account.clone())
    }

    fn add(&self, client: Client<K, P, S>) {
        let mut larger = Vec::new();
        loop {
            let mut all = self.all.lock();
            if growing::has_room(&mut all, &mut larger) {
                return all.push(client);
            }
            let count = all.len();
            drop(all);
            growing::take_memory(&mut larger, count);
        }
    }

    /// Nobody can speak for a client any more. Its objects stay, and count. False if there is no such client.
    pub(super) fn left(&self, port: NameOf<K>) -> bool {
        let mut all = self.all.lock();
        let at = all.iter().position(|client| client.port.name() == port);
        let left = at.map(|at| all.swap_remove(at));
        drop(all);
        left.is_some()
    }
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// A right for another client: `default_pager_object_create` makes it objects, as long as it has no more
    /// than its quota, and `default_pager_info` tells what it may have. No other call of administrators is
    /// answered there. Whoever has the right may give it to others, who are the same client then. When nobody
    /// has it any more, its objects stay as long as somebody uses them.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate` and `mach_port_request_notification`.
    pub fn client_right(&self, quota: Quota) -> Result<SendRight<K>, KernReturn> {
        let port = ReceiveRight::allocate(&self.kernel)?;
        let right = port.make_send()?;
        port.request_notification(Notification::NoSenders { sync: 1 }, &port).map(drop)?;
        self.administrators.insert(&port)?;
        let account = Arc::new(Account {
            quota,
            objects: AtomicUsize::new(0),
            pages: AtomicU64::new(0),
            nodes: AtomicUsize::new(0),
            most_nodes: quota.map_bytes / Node::<Place<S>>::size(),
            others: self.others_nodes.clone(),
        });
        self.clients.add(Client { port, account });
        Ok(right)
    }

    /// Counts one more object of the client that has this port, if it is a client's.
    ///
    /// # Errors
    ///
    /// `KERN_RESOURCE_SHORTAGE` if it has as many as it may have.
    pub(super) fn enter(&self, port: NameOf<K>) -> Result<Option<MemberOf<K, P, S>>, KernReturn> {
        let Some(account) = self.clients.account(port) else { return Ok(None) };
        self.counters.administration.count();
        account.enter().map(Some).ok_or(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    /// How many pages the client with this port may have, and how many more, if it is a client's.
    pub(super) fn room_of_client(&self, port: NameOf<K>) -> Option<[u64; 2]> {
        let account = self.clients.account(port)?;
        self.counters.administration.count();
        let most = account.quota.pages;
        Some([most, most.saturating_sub(account.pages.load(Relaxed))])
    }
}

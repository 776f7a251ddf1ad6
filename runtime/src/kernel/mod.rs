//! The kernel below a program, as a trait: `mach_msg`, port names, out-of-line memory.

#[cfg(any(target_vendor = "apple", all(test, feature = "std")))]
pub mod darwin;
#[cfg(feature = "std")]
pub mod local;
mod native;
mod no_wait;
mod remains;
pub(crate) mod trace;

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::DerefMut;

use mig_abi::MsgOption;

use crate::abi::Abi;
use crate::kern_return::KernReturn;

#[doc(inline)]
pub use mig_abi::RightKind;

pub use self::native::{Deallocate, Region, message_size};
pub use self::no_wait::NoWait;
pub use self::remains::Remains;
pub use crate::name::{Name, PortAddress, PortName};

/// What the ports of a kernel are called.
pub type NameOf<K> = <<K as Kernel>::Abi as Abi>::Name;

/// What a port is for, which XNU wants to know when it is made (`mach_port_construct`). Other kernels have
/// one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortKind {
    /// Messages of any kind.
    #[default]
    Plain,
    /// Replies (`MPO_REPLY_PORT`): see [`ReceiveRight::allocate_reply`](crate::ReceiveRight::allocate_reply).
    Reply,
    /// Exceptions (`MPO_EXCEPTION_PORT`): see
    /// [`ReceiveRight::allocate_exception`](crate::ReceiveRight::allocate_exception).
    Exception,
}

/// Which notification to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notification {
    /// `MACH_NOTIFY_PORT_DESTROYED`: the receive right comes back in the message.
    PortDestroyed,
    /// `MACH_NOTIFY_NO_SENDERS`, when no send right is left and at least `sync` have been made.
    NoSenders {
        /// The make-send count from which the notification may fire.
        sync: u32,
    },
    /// `MACH_NOTIFY_DEAD_NAME`, when the port of a send right is gone. If it is gone already, XNU of macOS 13
    /// and later refuses (`KERN_INVALID_ARGUMENT`), and `gnumach` asks so that GNU Mach does, too.
    DeadName,
    /// `MACH_NOTIFY_SEND_POSSIBLE`, which only XNU has. As long as nothing is sent with `MACH_SEND_NOTIFY`,
    /// it is a dead-name notification that comes at once if the port is gone already.
    SendPossible,
}

/// What one `mach_msg` call does.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgCall<N = Name> {
    /// Send `msgh_size` bytes of the buffer first.
    pub send: bool,
    /// Then receive from this port or port set into the same buffer.
    pub receive: Option<N>,
    /// Give up sending after this many milliseconds.
    pub send_timeout: Option<u32>,
    /// Give up receiving after this many milliseconds.
    pub receive_timeout: Option<u32>,
    /// Leave a message that does not fit in the queue (`MACH_RCV_LARGE`): the header then holds its true
    /// size.
    pub large: bool,
    /// Further `MACH_MSG_OPTION` bits of the ABI, as the `.defs` gave them.
    pub options: u32,
    /// The destination is an object of the kernel: a task, a thread, the host and their like. XNU wants to be
    /// told, and ends a program that is wrong about it (see
    /// [`CallOptions::KERNEL_OBJECT`](crate::CallOptions::KERNEL_OBJECT)); other kernels do not ask.
    pub kernel_object: bool,
}

impl MsgCall {
    /// `MACH_SEND_MSG` and `MACH_RCV_MSG`: whether a call sends and receives is never up to further options.
    pub(crate) const DIRECTIONS: u32 = MsgOption::SEND_MSG.bits | MsgOption::RCV_MSG.bits;

    /// The same call with a time for each half that has one by its option bit (`msgoption MACH_SEND_TIMEOUT`)
    /// and by nothing else: the time of the other half, for the trap has only one, or no time at all.
    #[must_use]
    pub const fn with_times_of_options(self) -> Self {
        let Self { send_timeout, receive_timeout, options, .. } = self;
        Self {
            send_timeout: timeout(send_timeout, receive_timeout, options & MsgOption::SEND_TIMEOUT.bits != 0),
            receive_timeout: timeout(
                receive_timeout,
                send_timeout,
                options & MsgOption::RCV_TIMEOUT.bits != 0,
            ),
            ..self
        }
    }
}

/// The time of one half of a call, which may have it by an option bit only.
const fn timeout(own: Option<u32>, other: Option<u32>, by_option: bool) -> Option<u32> {
    match (own, other) {
        (Some(time), _) => Some(time),
        (None, Some(time)) if by_option => Some(time),
        (None, None) if by_option => Some(0),
        _ => None,
    }
}

/// See [`Inline::serve`].
pub type Serve<'a> = dyn Fn(&mut [MaybeUninit<u64>], Result<(), KernReturn>) + Sync + 'a;

/// How messages are served in the threads that send them; see [`Kernel::serve_inline`].
#[derive(Clone, Copy)]
pub struct Inline<'a, N = Name> {
    /// The ports that are served so: members of this set.
    pub set: N,
    /// A member whose messages go through its queue.
    pub except: N,
    /// Bytes of the largest message that is served so, its trailer among them.
    pub room: usize,
    /// Serves a message. Its buffer is as a receive would have left it that returned this result.
    pub serve: &'a Serve<'a>,
}

impl<N: fmt::Debug> fmt::Debug for Inline<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").field("set", &self.set).field("room", &self.room).finish()
    }
}

/// A kernel that can carry messages for this task.
///
/// A zero-sized type where the real kernel is below us; a handle on the task where it is emulated. Clones
/// denote the same task.
///
/// Methods that take a name are unsafe: a name is a number that anybody can make up, and what is done under
/// it is done to the right of whoever owns it.
///
/// # Safety
///
/// A type that implements this vouches for what [`mach_msg`](Self::mach_msg) delivers: on success of a
/// receive the buffer holds an initialised message of `msgh_size` bytes, every right and region that its type
/// words or descriptors describe now belongs to this task, and nothing else of this task's does. After the
/// message of an untyped ABI, at the next multiple of 4, is an initialised trailer of the size that it says,
/// 8 bytes at least. The same is true of what [`serve_inline`](Self::serve_inline) has served.
pub unsafe trait Kernel: Clone + Send + Sync + 'static {
    /// The ABI of its messages.
    type Abi: Abi;

    /// Out-of-line memory that this task owns; dropping it gives it back.
    type Region: DerefMut<Target = [u8]> + Send + Sync;

    /// Memory of the program that one message may refer to until the guard is dropped.
    type Lent<'a>;

    /// Sends, receives, or both, as the trap of the same name.
    ///
    /// The buffer's first bytes are a header of [`Self::Abi`].
    ///
    /// # Safety
    ///
    /// For a send the first `msgh_size` bytes are initialised and lie in the buffer, and what the message
    /// moves (rights with a move disposition, memory with the deallocate bit) is the caller's to give; memory
    /// that it lends stays until the call returns.
    ///
    /// # Errors
    ///
    /// A `MACH_SEND_…` or `MACH_RCV_…` code, or nothing but what the kernel was short of
    /// (`MACH_MSG_VM_KERNEL` and its kin). After a failed send the buffer holds the message still, possibly
    /// in pseudo-received form, and [`Remains::after`] says what of that is this task's: where it is,
    /// whatever is described with a move disposition or a deallocate bit.
    ///
    /// After `MACH_RCV_BODY_ERROR` the buffer holds the message as after success, except that what there was
    /// no room for is missing: a name is null or dead, an address null. After `MACH_RCV_HEADER_ERROR`, and
    /// after `MACH_RCV_TOO_LARGE` without [`large`](MsgCall::large), the message is destroyed, and the buffer
    /// holds its header, with the receiver's port, the id and, in a typed message, the sequence number; in an
    /// untyped one a trailer stands after the header. With `large` the header has the true size, and all
    /// else may be zero. After any other failed receive no message has left its queue.
    unsafe fn mach_msg(
        &self,
        buffer: &mut [MaybeUninit<u64>],
        call: MsgCall<NameOf<Self>>,
    ) -> Result<(), KernReturn>;

    /// Runs `body`, and while it runs may have messages to the ports of a set served in the threads that send
    /// them ([`Server::inline`](crate::Server::inline)). When this returns none is being served any more.
    ///
    /// A kernel that carries messages between programs cannot do that, and runs `body`.
    fn serve_inline(&self, inline: Inline<'_, NameOf<Self>>, body: &mut dyn FnMut()) {
        let _ = inline;
        body();
    }

    /// True if `other` denotes the same task, so that names mean the same there.
    ///
    /// Values of a type without data do; a kernel with several tasks in one program says more.
    #[inline]
    fn is_same_task(&self, other: &Self) -> bool {
        let _ = other;
        size_of::<Self>() == 0
    }

    /// Makes a port and returns the name of its receive right.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    fn allocate_port(&self) -> Result<NameOf<Self>, KernReturn>;

    /// Makes a port of a kind and returns the name of its receive right. On a kernel whose ports are all
    /// alike it is any port.
    ///
    /// # Errors
    ///
    /// As `mach_port_construct`.
    fn construct_port(&self, kind: PortKind) -> Result<NameOf<Self>, KernReturn> {
        let _ = kind;
        self.allocate_port()
    }

    /// Makes an empty port set.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    fn allocate_port_set(&self) -> Result<NameOf<Self>, KernReturn>;

    /// Releases one reference of this kind; the last receive reference destroys the port. A name that is not
    /// valid is ignored.
    ///
    /// # Safety
    ///
    /// The reference is the caller's to end.
    unsafe fn release(&self, kind: RightKind, name: NameOf<Self>);

    /// Adds one send reference to a name that has at least one already. See [`SendRight`](crate::SendRight)
    /// for how many there can be.
    ///
    /// # Safety
    ///
    /// The caller owns such a right, or has borrowed it; the reference that is added is owned by nobody yet.
    ///
    /// # Errors
    ///
    /// As `mach_port_mod_refs`.
    unsafe fn copy_send(&self, name: NameOf<Self>) -> Result<(), KernReturn>;

    /// Makes a send right from a receive right; it has the same name.
    ///
    /// # Safety
    ///
    /// As [`copy_send`](Self::copy_send).
    ///
    /// # Errors
    ///
    /// As `mach_port_insert_right`.
    unsafe fn make_send(&self, receive: NameOf<Self>) -> Result<(), KernReturn>;

    /// Makes a send-once right from a receive right; it has a name of its own.
    ///
    /// # Safety
    ///
    /// As [`copy_send`](Self::copy_send).
    ///
    /// # Errors
    ///
    /// As `mach_port_extract_right`.
    unsafe fn make_send_once(&self, receive: NameOf<Self>) -> Result<NameOf<Self>, KernReturn>;

    /// Moves a receive right into a port set, or out of every set with [`Name::NULL`].
    ///
    /// # Safety
    ///
    /// The caller owns both rights, or has borrowed them.
    ///
    /// # Errors
    ///
    /// As `mach_port_move_member`.
    unsafe fn move_member(&self, receive: NameOf<Self>, set: NameOf<Self>) -> Result<(), KernReturn>;

    /// Asks that a notification be sent to `notify`, a receive right of this task, from which a send-once
    /// right is made; null cancels. Returns the send-once right that was registered before, or null.
    ///
    /// # Safety
    ///
    /// The caller owns both rights, or has borrowed them; the right that comes back is owned by nobody yet.
    ///
    /// # Errors
    ///
    /// As `mach_port_request_notification`.
    unsafe fn request_notification(
        &self,
        name: NameOf<Self>,
        which: Notification,
        notify: NameOf<Self>,
    ) -> Result<NameOf<Self>, KernReturn>;

    /// This thread's cached reply port, made on demand (`mig_get_reply_port`).
    ///
    /// # Errors
    ///
    /// As [`allocate_port`](Self::allocate_port).
    fn reply_port(&self) -> Result<NameOf<Self>, KernReturn>;

    /// Destroys this thread's reply port after an error, so that a late reply cannot be taken for the next
    /// one (`mig_dealloc_reply_port`).
    ///
    /// # Safety
    ///
    /// The name is that of this thread's [`reply_port`](Self::reply_port), and nobody waits there.
    unsafe fn destroy_reply_port(&self, name: NameOf<Self>);

    /// New out-of-line memory, all zeros.
    ///
    /// # Errors
    ///
    /// As `vm_allocate`.
    fn allocate(&self, size: usize) -> Result<Self::Region, KernReturn>;

    /// Turns memory into the address that stands for it in a message of this task.
    fn region_into_wire(&self, region: Self::Region) -> u64;

    /// The memory at an address that a message has delivered.
    ///
    /// # Safety
    ///
    /// `address` and `size` come from a type word with the deallocate bit or from a descriptor of a message
    /// that this kernel has delivered, or from [`region_into_wire`](Self::region_into_wire), and nobody else
    /// claims them.
    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Self::Region;

    /// Lends memory to a message that is about to be sent; the kernel copies it.
    ///
    /// For messages [in a kernel](crate::abi::InKernel), which nobody copies, this makes the copy: the
    /// message owns what is at the address, and the guard does nothing.
    fn lend<'a>(&self, bytes: &'a [u8]) -> Self::Lent<'a>;

    /// The address that stands for lent memory in the message.
    fn lent_address(lent: &Self::Lent<'_>) -> u64;
}

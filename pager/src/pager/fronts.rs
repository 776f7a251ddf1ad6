//! The generated traits of the kernel's interfaces, implemented by calls of the pager.

use mach_defs::gnu::{
    memory_object, memory_object_default, notify, seqnos_memory_object, seqnos_memory_object_default,
    seqnos_notify,
};
use mig_runtime::abi::Gnu;
use mig_runtime::platform::Platform;
use mig_runtime::{
    DeadName, KernReturn, Kernel, Name, NameOf, OolMemory, Port, ReceiveRight, SendRight, Seqno,
};

use super::SwapPager;
use super::messages::At;
use crate::store::Store;

/// The pager for kernels or hosts whose messages come without sequence numbers. One thread may serve each
/// port, because nothing else keeps its messages in order. Messages that no routine took are not
/// [reported](SwapPager::unclaimed): they have no turn to wait for.
pub struct Unsequenced<'a, K: Kernel<Abi = Gnu>, P: Platform, S: Store>(pub &'a SwapPager<K, P, S>);

/// Where a message came to.
fn at<K: Kernel>(port: Port<'_, K>, seqno: Seqno) -> At<NameOf<K>> {
    At { port: port.name(), seqno: Some(seqno) }
}

/// The same without a position.
fn next<K: Kernel>(port: Port<'_, K>) -> At<NameOf<K>> {
    At { port: port.name(), seqno: None }
}

/// An offset or length, which is not wider on any ABI.
#[allow(clippy::unnecessary_cast)]
fn wide(bytes: memory_object::VmOffset) -> u64 {
    bytes as u64
}

/// Implements a trait of the kernel's in both of its forms.
macro_rules! fronts {
    ($(
        $plain:ident::$plain_trait:ident, $seqnos:ident::$seqnos_trait:ident {
            $(fn $method:ident($pager:ident, $port:ident, $at:ident $(, $arg:ident: $type:ty)* $(,)?) $body:block)*
        }
    )*) => { $(
        impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> $seqnos::$seqnos_trait<K> for SwapPager<K, P, S> {
            $(fn $method(&self, $port: Port<'_, K>, seqno: Seqno $(, $arg: $type)*) -> Result<(), KernReturn> {
                let ($pager, $at) = (self, at($port, seqno));
                $body
            })*
        }

        impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> $plain::$plain_trait<K>
            for Unsequenced<'_, K, P, S>
        {
            $(fn $method(&self, $port: Port<'_, K> $(, $arg: $type)*) -> Result<(), KernReturn> {
                let ($pager, $at) = (self.0, next($port));
                $body
            })*
        }
    )* };
}

fronts! {
    memory_object_default::MemoryObjectDefault, seqnos_memory_object_default::SeqnosMemoryObjectDefault {
        fn memory_object_create(
            pager, port, at,
            new_memory_object: ReceiveRight<K>,
            _new_object_size: memory_object_default::VmSize,
            new_control_port: SendRight<K>,
            new_name: SendRight<K>,
            new_page_size: memory_object_default::VmSize,
        ) {
            pager.create(at, new_memory_object, new_control_port, new_name, wide(new_page_size))
        }

        fn memory_object_data_initialize(
            pager, port, at,
            control: SendRight<K>,
            offset: memory_object_default::VmOffset,
            data: OolMemory<K>,
        ) {
            pager.data_return(at, control, wide(offset), data, true)
        }
    }

    memory_object::MemoryObject, seqnos_memory_object::SeqnosMemoryObject {
        fn memory_object_init(
            pager, port, at,
            control: SendRight<K>,
            name: SendRight<K>,
            page_size: memory_object::VmSize,
        ) {
            pager.init(at, control, name, wide(page_size))
        }

        fn memory_object_terminate(pager, port, at, control: ReceiveRight<K>, name: ReceiveRight<K>) {
            pager.terminate(at, control, name)
        }

        fn memory_object_data_request(
            pager, port, at,
            control: SendRight<K>,
            offset: memory_object::VmOffset,
            length: memory_object::VmSize,
            _desired_access: memory_object::VmProt,
        ) {
            pager.data_request(at, control, wide(offset), wide(length))
        }

        fn memory_object_data_unlock(
            pager, port, at,
            control: SendRight<K>,
            offset: memory_object::VmOffset,
            length: memory_object::VmSize,
            _desired_access: memory_object::VmProt,
        ) {
            pager.data_unlock(at, control, wide(offset), wide(length))
        }

        fn memory_object_data_return(
            pager, port, at,
            control: SendRight<K>,
            offset: memory_object::VmOffset,
            data: OolMemory<K>,
            _dirty: bool,
            _kernel_copy: bool,
        ) {
            pager.data_return(at, control, wide(offset), data, false)
        }
    }

    notify::Notify, seqnos_notify::SeqnosNotify {
        fn mach_notify_no_senders(pager, port, at, rights_made: notify::MachPortMscount) {
            pager.no_senders(at, port.is_send_once(), rights_made)
        }

        fn mach_notify_dead_name(pager, port, at, control: DeadName<K>) {
            pager.control_died(at, control)
        }

        fn mach_notify_port_deleted(pager, port, at, _name: Name) {
            pager.control_released(at, port.is_send_once())
        }

        fn mach_notify_send_once(pager, port, at) {
            pager.control_released(at, port.is_send_once())
        }
    }
}

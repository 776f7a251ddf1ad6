//! What a test says in either family of messages, for tests that are generic over the ABI.
#![allow(dead_code)] // No test needs all of it.

use mig_runtime::abi::{Apple32, Apple64, GnuI386, GnuX86_64, TaskAbi};
use mig_runtime::{Builder, Copying, KernReturn, Kernel, OolMemory, Type};

pub(crate) trait Words: TaskAbi {
    /// This many rights and regions follow.
    fn announce<K: Kernel<Abi = Self>>(message: &mut Builder<'_, K>, count: u32);

    /// Memory that the message gives away, or only refers to.
    fn memory<K: Kernel<Abi = Self>>(
        message: &mut Builder<'_, K>,
        memory: OolMemory<K>,
        given: bool,
    ) -> Result<(), KernReturn>;

    /// 16 bytes of a message without rights.
    fn sixteen_bytes<K: Kernel<Abi = Self>>(message: &mut Builder<'_, K>);
}

macro_rules! words {
    ($($typed:ident)*; $($untyped:ident)*) => {
        $(impl Words for $typed {
            fn announce<K: Kernel<Abi = Self>>(_: &mut Builder<'_, K>, _: u32) {}

            fn memory<K: Kernel<Abi = Self>>(
                message: &mut Builder<'_, K>,
                memory: OolMemory<K>,
                given: bool,
            ) -> Result<(), KernReturn> {
                const BYTES: Type = Type::out_of_line(9, 8);
                match given {
                    true => message.ool(BYTES, memory),
                    false => message.ool_copy(BYTES, &memory)?,
                }
                Ok(())
            }

            fn sixteen_bytes<K: Kernel<Abi = Self>>(message: &mut Builder<'_, K>) {
                message.data(Type::inline(11, 64, 1), &1u64);
            }
        })*
        $(impl Words for $untyped {
            fn announce<K: Kernel<Abi = Self>>(message: &mut Builder<'_, K>, count: u32) {
                message.descriptors(count);
            }

            fn memory<K: Kernel<Abi = Self>>(
                message: &mut Builder<'_, K>,
                memory: OolMemory<K>,
                given: bool,
            ) -> Result<(), KernReturn> {
                match given {
                    true => message.memory(memory, Copying::MOVE)?,
                    false => message.memory_result(memory, Copying::VIRTUAL)?,
                };
                Ok(())
            }

            fn sixteen_bytes<K: Kernel<Abi = Self>>(message: &mut Builder<'_, K>) {
                message.value(&[1u64; 2]);
            }
        })*
    };
}

words!(GnuI386 GnuX86_64; Apple32 Apple64);

//! Between the generated code's types and bytes, for the glue that [`glue`](crate::glue) writes.

use std::ffi::{CStr, CString};

use mig_runtime::kernel::{Name, NameOf, PortName, RightKind};
use mig_runtime::{
    AnyRight, ArrayRight, ArrayVec, DeadName, Elements, KernReturn, Kernel, OolArg, OolMemory, Port,
    PortArray, ReceiveRight, Rights, SendOnceRight, SendRight, Seqno,
};

use crate::values::Value;

/// A kernel to test with, and how the names in values become rights there.
pub trait World {
    /// The kernel.
    type Kernel: Kernel;

    /// The task that the generated code runs in.
    fn kernel(&self) -> &Self::Kernel;

    /// Gives the task a right for the name in a value, and returns its name in the task.
    fn grant(&self, kind: RightKind, value: u32) -> NameOf<Self::Kernel>;

    /// The name in a value for a right that the task holds.
    fn value(&self, kind: RightKind, name: NameOf<Self::Kernel>) -> u32;
}

/// The number of a port in a test, whether its name is one or an address.
pub fn number(name: impl PortName) -> u32 {
    name.word() as u32
}

/// A type of which a test can make a value.
pub trait Make<W: World>: Sized {
    /// Makes it; a right is granted first.
    fn make(world: &W, value: &Value) -> Self;
}

/// A type that a test can look into.
pub trait See<W: World> {
    /// What C would have in memory.
    fn see(&self, world: &W) -> Value;
}

macro_rules! numbers {
    ($($ty:ty),*) => { $(
        impl<W: World> Make<W> for $ty {
            fn make(_: &W, value: &Value) -> Self {
                Self::from_le_bytes(value.bytes.as_slice().try_into().expect("as many bytes as the type has"))
            }
        }

        impl<W: World> See<W> for $ty {
            fn see(&self, _: &W) -> Value {
                Value { bytes: self.to_le_bytes().to_vec(), ..Value::default() }
            }
        }
    )* };
}

numbers!(u8, i8, u16, i16, u32, i32, u64, i64);

impl<W: World> Make<W> for bool {
    fn make(world: &W, value: &Value) -> Self {
        u32::make(world, value) != 0
    }
}

impl<W: World> See<W> for bool {
    fn see(&self, world: &W) -> Value {
        u32::from(*self).see(world)
    }
}

impl<W: World> Make<W> for KernReturn {
    fn make(world: &W, value: &Value) -> Self {
        KernReturn(i32::make(world, value))
    }
}

impl<W: World> See<W> for KernReturn {
    fn see(&self, world: &W) -> Value {
        self.0.see(world)
    }
}

impl<W: World> Make<W> for Name {
    fn make(world: &W, value: &Value) -> Self {
        Name(u32::make(world, value))
    }
}

impl<W: World> See<W> for Name {
    fn see(&self, world: &W) -> Value {
        self.0.see(world)
    }
}

impl<W: World> See<W> for DeadName<W::Kernel> {
    fn see(&self, world: &W) -> Value {
        number(self.name()).see(world)
    }
}

impl<W: World> See<W> for Seqno {
    fn see(&self, world: &W) -> Value {
        self.0.see(world)
    }
}

impl<W: World> See<W> for Port<'_, W::Kernel> {
    fn see(&self, world: &W) -> Value {
        number(self.name()).see(world)
    }
}

/// For structures of generated code, which are plain data.
#[macro_export]
macro_rules! plain {
    ($($ty:ty),*) => { $(
        impl<W: $crate::convert::World> $crate::convert::Make<W> for $ty {
            fn make(_: &W, value: &$crate::values::Value) -> Self {
                ::mig_runtime::zerocopy::FromBytes::read_from_bytes(&value.bytes).expect("as many bytes as the type has")
            }
        }

        impl<W: $crate::convert::World> $crate::convert::See<W> for $ty {
            fn see(&self, _: &W) -> $crate::values::Value {
                let bytes = ::mig_runtime::zerocopy::IntoBytes::as_bytes(self).to_vec();
                $crate::values::Value { bytes, ..Default::default() }
            }
        }
    )* };
}

macro_rules! rights {
    ($($right:ident, $kind:ident, $disposition:literal;)*) => { $(
        impl<W: World> Make<W> for $right<W::Kernel> {
            fn make(world: &W, value: &Value) -> Self {
                let name = world.grant(RightKind::$kind, u32::make(world, value));
                // SAFETY: it has just been granted, and nothing else knows of it.
                unsafe { Self::from_raw(world.kernel().clone(), name) }
            }
        }

        impl<W: World> See<W> for $right<W::Kernel> {
            fn see(&self, world: &W) -> Value {
                let value = world.value(RightKind::$kind, self.name());
                Value { disposition: $disposition, ..value.see(world) }
            }
        }
    )* };
}

rights! {
    ReceiveRight, Receive, 16;
    SendRight, Send, 17;
    SendOnceRight, SendOnce, 18;
}

impl<W: World> See<W> for AnyRight<'_, W::Kernel> {
    fn see(&self, world: &W) -> Value {
        match self {
            AnyRight::MoveReceive(right) => right.see(world),
            AnyRight::MoveSend(right) => right.see(world),
            AnyRight::MoveSendOnce(right) => right.see(world),
            other => Value { disposition: u32::from(other.disposition()), ..number(other.name()).see(world) },
        }
    }
}

impl<W: World> Make<W> for AnyRight<'static, W::Kernel> {
    /// What moves the right, as the value says.
    fn make(world: &W, value: &Value) -> Self {
        match value.disposition {
            16 => AnyRight::MoveReceive(Make::make(world, value)),
            17 => AnyRight::MoveSend(Make::make(world, value)),
            _ => AnyRight::MoveSendOnce(Make::make(world, value)),
        }
    }
}

impl<W: World> Make<W> for PortArray<'static, W::Kernel> {
    /// Moves the rights, as the value says.
    fn make(world: &W, value: &Value) -> Self {
        match value.disposition {
            16 => PortArray::moving(Vec::<ReceiveRight<_>>::make(world, value)),
            17 => PortArray::moving(Vec::<SendRight<_>>::make(world, value)),
            _ => PortArray::moving(Vec::<SendOnceRight<_>>::make(world, value)),
        }
    }
}

impl<W: World> Make<W> for OolArg<'static, W::Kernel> {
    /// Memory that goes with the message, or that is lent to it as long as the test runs.
    fn make(world: &W, value: &Value) -> Self {
        match value.deallocate {
            true => OolMemory::make(world, value).into(),
            false => OolArg::lend(Box::leak(value.bytes.clone().into_boxed_slice())),
        }
    }
}

impl<W: World> Make<W> for OolMemory<W::Kernel> {
    fn make(world: &W, value: &Value) -> Self {
        let mut memory =
            OolMemory::allocate(world.kernel(), value.bytes.len()).expect("the test's memory is not limited");
        memory.copy_from_slice(&value.bytes);
        memory
    }
}

impl<W: World> See<W> for OolMemory<W::Kernel> {
    fn see(&self, world: &W) -> Value {
        self[..].see(world)
    }
}

impl<W: World> Make<W> for CString {
    fn make(_: &W, value: &Value) -> Self {
        CString::from_vec_with_nul(value.bytes.clone()).expect("the value ends with a NUL")
    }
}

impl<W: World> See<W> for CStr {
    fn see(&self, world: &W) -> Value {
        self.to_bytes_with_nul().see(world)
    }
}

impl<W: World> See<W> for CString {
    fn see(&self, world: &W) -> Value {
        self.as_c_str().see(world)
    }
}

impl<W: World, T: Make<W>> Make<W> for Vec<T> {
    fn make(world: &W, value: &Value) -> Self {
        let size = value.bytes.len().checked_div(value.count as usize).unwrap_or(1);
        let element = |bytes: &[u8]| T::make(world, &Value { bytes: bytes.to_vec(), ..Value::default() });
        value.bytes.chunks_exact(size.max(1)).map(element).collect()
    }
}

impl<W: World, R: ArrayRight<W::Kernel> + Make<W>> Make<W> for Rights<W::Kernel, R> {
    fn make(world: &W, value: &Value) -> Self {
        Vec::make(world, value).into()
    }
}

impl<W: World, T: Make<W>, const N: usize> Make<W> for ArrayVec<T, N> {
    fn make(world: &W, value: &Value) -> Self {
        Vec::make(world, value).into_iter().collect()
    }
}

impl<W: World, T: Make<W>, const N: usize> Make<W> for [T; N] {
    fn make(world: &W, value: &Value) -> Self {
        let all: Vec<T> = Make::make(world, &Value { count: N as u32, ..value.clone() });
        all.try_into().unwrap_or_else(|_| panic!("as many elements as the type has"))
    }
}

impl<W: World, T: See<W>> See<W> for [T] {
    fn see(&self, world: &W) -> Value {
        let count = u32::try_from(self.len()).expect("arrays are small");
        let bytes = self.iter().flat_map(|element| element.see(world).bytes).collect();
        Value { bytes, count, ..Value::default() }
    }
}

impl<W: World, T: See<W>, const N: usize> See<W> for [T; N] {
    fn see(&self, world: &W) -> Value {
        self[..].see(world)
    }
}

impl<W: World, T: See<W>> See<W> for Vec<T> {
    fn see(&self, world: &W) -> Value {
        self[..].see(world)
    }
}

impl<W: World, R: ArrayRight<W::Kernel> + See<W>> See<W> for Rights<W::Kernel, R> {
    /// All that are left, none of which is taken.
    fn see(&self, world: &W) -> Value {
        let count = u32::try_from(self.len()).expect("arrays are small");
        let mut bytes = Vec::new();
        self.visit(|right| bytes.extend(right.see(world).bytes));
        Value { bytes, count, ..Value::default() }
    }
}

impl<W: World, T: See<W>, const N: usize> See<W> for ArrayVec<T, N> {
    fn see(&self, world: &W) -> Value {
        self[..].see(world)
    }
}

impl<W: World, T: See<W> + mig_runtime::Plain> See<W> for Elements<'_, T, W::Kernel> {
    fn see(&self, world: &W) -> Value {
        self[..].see(world)
    }
}

impl<W: World, T: See<W> + ?Sized> See<W> for &T {
    fn see(&self, world: &W) -> Value {
        (**self).see(world)
    }
}

//! Rust types for the types of an interface, and the items that declare them.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::Generator;
use super::apart;
use super::docs::doc;
use crate::model::{Member, Scalar, Type, TypeKind};

/// `MACH_MSG_TYPE_PORT_NAME`
const PORT_NAME: u32 = 15;

/// C types that Rust has itself.
const PRIMITIVES: &[(&str, &str)] = &[
    ("char", "u8"),
    ("short", "i16"),
    ("int", "i32"),
    ("int8_t", "i8"),
    ("int16_t", "i16"),
    ("int32_t", "i32"),
    ("int64_t", "i64"),
    ("int32", "i32"),
    ("int64", "i64"),
    ("unsigned", "u32"),
    ("unsigned32", "u32"),
    ("unsigned64", "u64"),
    ("uint8_t", "u8"),
    ("uint16_t", "u16"),
    ("uint32_t", "u32"),
    ("uint64_t", "u64"),
];

impl Generator<'_> {
    /// The Rust type of plain data in a message. A truth value is the integer that it is there.
    pub(super) fn data_type(&self, ty: &Type) -> TokenStream {
        let rt = &self.rt;
        if let Some(path) = self.extern_type(ty) {
            return path.clone();
        }
        if ty.is_bool() {
            return quote!(u32);
        }
        if let Some(name) = ty.name.as_deref() {
            match name {
                "kern_return_t" => return quote!(#rt::KernReturn),
                "boolean_t" => return quote!(u32),
                _ if self.has_item(ty) => {
                    let name = self.type_name(name);
                    return quote!(#name);
                }
                _ => {}
            }
        }
        self.plain_type(ty)
    }

    /// The user's type for plain data: by the type's own name, or by that of the C type that it has on both
    /// sides.
    pub(super) fn extern_type(&self, ty: &Type) -> Option<&TokenStream> {
        let c = &ty.c;
        let is_translated = c.trans.is_some() && c.trans == ty.name;
        let own = ty.name.as_deref().filter(|_| !is_translated);
        let c_type = c.user.as_deref().filter(|_| c.user == c.server);
        [own, c_type].into_iter().flatten().find_map(|name| self.extern_types.get(name))
    }

    /// The same, not by its own name.
    fn plain_type(&self, ty: &Type) -> TokenStream {
        match &ty.kind {
            TypeKind::Scalar(scalar) => self.scalar_type(ty, *scalar),
            TypeKind::Fixed { element, count, .. } => {
                let element = self.data_type(element);
                let count = Literal::u32_unsuffixed(*count);
                quote!([#element; #count])
            }
            TypeKind::FixedString { size, .. } => {
                let size = Literal::u32_unsuffixed(*size);
                quote!([u8; #size])
            }
            // Structures have names, and the others are not plain data.
            _ => quote!(()),
        }
    }

    fn scalar_type(&self, ty: &Type, scalar: Scalar) -> TokenStream {
        let rt = &self.rt;
        match (scalar.type_number, scalar.bits) {
            (PORT_NAME, 32) => quote!(#rt::Name),
            (_, 32) if scalar.is_float => quote!(f32),
            (_, 64) if scalar.is_float => quote!(f64),
            (_, 8) => quote!(u8),
            (_, bits @ (16 | 32 | 64)) => {
                let sign = if ty.is_unsigned() { 'u' } else { 'i' };
                let name = format_ident!("{sign}{bits}");
                quote!(#name)
            }
            (_, bits) => {
                let bytes = Literal::u32_unsuffixed(bits / 8);
                quote!([u8; #bytes])
            }
        }
    }

    /// True if the generated code declares a Rust type for it.
    fn has_item(&self, ty: &Type) -> bool {
        let Some(name) = ty.name.as_deref() else { return false };
        let is_data = match ty.kind {
            TypeKind::Scalar(scalar) => scalar.type_number != PORT_NAME,
            TypeKind::Fixed { ref element, .. } => element.port().is_none(),
            TypeKind::Struct { .. } => true,
            _ => false,
        };
        let known = self.extern_type(ty).is_some()
            || ty.is_bool()
            || matches!(name, "kern_return_t" | "boolean_t")
            || PRIMITIVES.iter().any(|(c, _)| *c == name);
        is_data && !known
    }

    /// The items that declare the types of the arguments, each once, in the order of their names: aliases,
    /// then structures.
    pub(super) fn type_items(&self) -> Vec<TokenStream> {
        let mut used = BTreeMap::new();
        for arg in self.interface.routines.iter().flat_map(|routine| &routine.args) {
            if arg.in_request() || arg.in_reply() {
                self.collect(&arg.ty, &mut used);
            }
        }
        let (structures, aliases): (Vec<_>, Vec<_>) =
            used.into_iter().partition(|(_, ty)| matches!(ty.kind, TypeKind::Struct { .. }));
        let aliases = aliases.into_iter().map(|(name, ty)| self.type_item(name, ty)).collect();
        let structures = structures.into_iter().map(|(name, ty)| self.type_item(name, ty));
        [aliases].into_iter().chain(structures).chain(self.extern_checks()).collect()
    }

    /// The assertions that the user's types have the sizes of what they stand for.
    fn extern_checks(&self) -> Option<TokenStream> {
        let rt = &self.rt;
        let mut checks = BTreeMap::new();
        for arg in self.interface.routines.iter().flat_map(|routine| &routine.args) {
            visit(&arg.ty, &mut |ty| {
                let path = self.extern_type(ty).filter(|_| ty.bytes() > 0);
                checks.extend(path.map(|path| ((ty.name.as_deref(), ty.bytes()), path)));
                path.is_some()
            });
        }
        let checks = checks.into_iter().map(|((name, size), path)| {
            let message = format!("the Rust type for `{}` must have {size} bytes", name.unwrap_or_default());
            let size = Literal::u32_unsuffixed(size);
            quote!(const _: () = #rt::layout::equal(#message, ::core::mem::size_of::<#path>(), #size);)
        });
        let checks: TokenStream = checks.collect();
        (!checks.is_empty()).then_some(checks)
    }

    fn collect<'t>(&self, ty: &'t Type, used: &mut BTreeMap<&'t str, &'t Type>) {
        visit(ty, &mut |ty| {
            if let Some(name) = ty.name.as_deref().filter(|_| self.has_item(ty)) {
                used.insert(name, ty);
            }
            self.extern_type(ty).is_some()
        });
    }

    fn type_item(&self, c_name: &str, ty: &Type) -> TokenStream {
        if let TypeKind::Struct { members, size, alignment } = &ty.kind {
            return self.structure(c_name, members, *size, *alignment);
        }
        let name = self.type_name(c_name);
        let is = self.plain_type(ty);
        let doc = doc(&format!("`{c_name}`"));
        quote! {
            #doc
            pub type #name = #is;
        }
    }

    /// A structure with C's layout in this ABI, and the assertions that it has it.
    fn structure(&self, c_name: &str, members: &[Member], size: u32, alignment: u32) -> TokenStream {
        let rt = &self.rt;
        let name = self.type_name(c_name);
        let packed = members.iter().any(|member| member.ty.natural_alignment() > alignment);
        let repr = if packed {
            let alignment = Literal::u32_unsuffixed(alignment);
            quote!(#[repr(C, packed(#alignment))])
        } else {
            quote!(#[repr(C)])
        };
        let mut fields = Vec::new();
        let mut checks = Vec::new();
        let mut end = 0;
        for (member, field) in members.iter().zip(apart::fields(members)) {
            fields.extend(padding(end, member.offset));
            let ty = self.data_type(&member.ty);
            let doc = doc(&format!("`{}`", member.name));
            fields.push(quote!(#doc pub #field: #ty));
            let offset = Literal::u32_unsuffixed(member.offset);
            let message = format!("`{}` must be at {} of `{c_name}`", member.name, member.offset);
            checks.push(quote!(equal(#message, ::core::mem::offset_of!(#name, #field), #offset);));
            end = member.offset + member.ty.bytes();
        }
        fields.extend(padding(end, size));
        let doc = doc(&format!("`{c_name}`"));
        let whole = format!("`{c_name}` must have {size} bytes");
        let size = Literal::u32_unsuffixed(size);
        let zerocopy = format!("{}::codegen::zerocopy", self.runtime_crate);
        let (derived, default) = self.default(&name, members);
        quote! {
            #doc
            #[derive(
                Clone, Copy, Debug, #derived PartialEq,
                #rt::zerocopy::FromBytes, #rt::zerocopy::IntoBytes,
                #rt::zerocopy::Immutable, #rt::zerocopy::KnownLayout,
            )]
            #[zerocopy(crate = #zerocopy)]
            #repr
            pub struct #name {
                #(#fields,)*
            }
            #default
            const _: () = {
                use #rt::layout::equal;
                equal(#whole, ::core::mem::size_of::<#name>(), #size);
                #(#checks)*
            };
        }
    }

    /// How a structure gets its `Default`: derived, or made of zeros where it has long arrays, which have
    /// none.
    fn default(&self, name: &Ident, members: &[Member]) -> (TokenStream, TokenStream) {
        if members.iter().all(|member| has_default(&member.ty)) {
            return (quote!(Default,), TokenStream::new());
        }
        let rt = &self.rt;
        let item = quote! {
            impl Default for #name {
                fn default() -> Self {
                    #rt::zerocopy::FromZeros::new_zeroed()
                }
            }
        };
        (TokenStream::new(), item)
    }
}

/// Visits a type and what it is made of, from the outside, until `visitor` has seen enough of a type.
fn visit<'t>(ty: &'t Type, visitor: &mut impl FnMut(&'t Type) -> bool) {
    if visitor(ty) {
        return;
    }
    match &ty.kind {
        TypeKind::Fixed { element, .. }
        | TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => visit(element, visitor),
        TypeKind::Struct { members, .. } => {
            members.iter().for_each(|member| visit(&member.ty, visitor));
        }
        _ => {}
    }
}

/// Whether the type of a member has a `Default`; the standard library gives it to arrays of up to 32
/// elements.
fn has_default(ty: &Type) -> bool {
    const LONGEST: u32 = 32;
    match &ty.kind {
        TypeKind::Scalar(scalar) => scalar.bits <= LONGEST * 8,
        TypeKind::Fixed { element, count, .. } => *count <= LONGEST && has_default(element),
        TypeKind::FixedString { size, .. } => *size <= LONGEST,
        _ => true,
    }
}

/// A field for the bytes between two members, if there are any.
fn padding(from: u32, to: u32) -> Option<TokenStream> {
    (from < to).then(|| {
        let field = format_ident!("padding_{from}");
        let size = Literal::u32_unsuffixed(to - from);
        let doc = doc("Zeros.");
        quote!(#doc pub #field: [u8; #size])
    })
}

//! Values of arguments as JSON.

use mig_codegen::model::{Scalar, Type, TypeKind};
use serde_json::{Map, Value, json};

use crate::words::{disposition_by_name, disposition_name, right_text, uint};

/// The value of plain data of this type. The bytes are as many as the type says, or all of an array.
pub(crate) fn read(ty: &Type, bytes: &[u8]) -> Value {
    match &ty.kind {
        TypeKind::Scalar(scalar) => number(ty, *scalar, bytes),
        TypeKind::FixedString { .. } | TypeKind::BoundedString { .. } => c_string(bytes),
        TypeKind::Struct { members, .. } => {
            let fields = members.iter().map(|member| {
                let end = (member.offset + member.ty.bytes()) as usize;
                let bytes = bytes.get(member.offset as usize..end).unwrap_or_default();
                (member.name.clone(), read(&member.ty, bytes))
            });
            Value::Object(fields.collect())
        }
        TypeKind::Fixed { element, .. }
        | TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => elements(element, bytes),
        TypeKind::Port(_) => hex(bytes),
    }
}

fn elements(element: &Type, bytes: &[u8]) -> Value {
    let size = element.bytes() as usize;
    if element.is_byte() || size == 0 {
        return hex(bytes);
    }
    Value::Array(bytes.chunks_exact(size).map(|bytes| read(element, bytes)).collect())
}

fn number(ty: &Type, scalar: Scalar, bytes: &[u8]) -> Value {
    let Some(unsigned) = uint(bytes, 0, bytes.len()).filter(|_| matches!(bytes.len(), 1 | 2 | 4 | 8)) else {
        return hex(bytes);
    };
    match (scalar.is_float, bytes.len()) {
        (true, 4) => real(f32::from_bits(unsigned as u32).into(), bytes),
        (true, 8) => real(f64::from_bits(unsigned), bytes),
        _ if ty.is_bool() && unsigned <= 1 => json!(unsigned == 1),
        _ if ty.is_unsigned() || ty.is_name() => json!(unsigned),
        (_, size) => {
            let shift = 64 - 8 * size as u32;
            json!((unsigned << shift) as i64 >> shift)
        }
    }
}

/// JSON has no infinity; and a NaN is not only one.
fn real(value: f64, bytes: &[u8]) -> Value {
    if value.is_finite() { json!(value) } else { hex(bytes) }
}

/// A C string, if these bytes are one with nothing but zeros after its end.
fn c_string(bytes: &[u8]) -> Value {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) if end < bytes.len() && bytes[end..].iter().all(|byte| *byte == 0) => json!(text),
        _ => hex(bytes),
    }
}

/// Bytes as they are.
pub(crate) fn hex(bytes: &[u8]) -> Value {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "hex": digits })
}

pub(crate) fn right(name: u64, disposition: u32) -> Value {
    match disposition_name(disposition) {
        Some(right) => json!({ "name": name, "right": right }),
        None => json!({ "name": name }),
    }
}

/// The bytes of plain data of this type, or of all elements of an array.
pub(crate) fn write(ty: &Type, value: &Value) -> Result<Vec<u8>, String> {
    if let Some(bytes) = of_hex(value)? {
        return sized(ty, bytes);
    }
    match &ty.kind {
        TypeKind::Scalar(scalar) => write_number(*scalar, value),
        TypeKind::FixedString { size, .. } => {
            let mut bytes = write_text(value)?;
            if bytes.len() > *size as usize {
                return Err(format!("a string of {} bytes has no room in {size}", bytes.len()));
            }
            bytes.resize(*size as usize, 0);
            Ok(bytes)
        }
        TypeKind::BoundedString { .. } => write_text(value),
        TypeKind::Struct { members, size, .. } => {
            let fields = value.as_object().ok_or_else(|| wrong(value, "an object with the members"))?;
            let known = |name: &&String| members.iter().all(|member| member.name != **name);
            if let Some(name) = fields.keys().find(known) {
                return Err(format!("the structure has no member `{name}`"));
            }
            let mut bytes = vec![0; *size as usize];
            for member in members.iter() {
                let value =
                    fields.get(&member.name).ok_or_else(|| format!("member `{}` is missing", member.name))?;
                let written =
                    write(&member.ty, value).map_err(|error| format!("{}: {error}", member.name))?;
                bytes[member.offset as usize..][..written.len()].copy_from_slice(&written);
            }
            Ok(bytes)
        }
        TypeKind::Fixed { element, .. }
        | TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => {
            let values = value.as_array().ok_or_else(|| wrong(value, "a list"))?;
            let mut bytes = Vec::new();
            for (index, value) in values.iter().enumerate() {
                bytes.extend(write(element, value).map_err(|error| format!("element {index}: {error}"))?);
            }
            sized(ty, bytes)
        }
        TypeKind::Port(_) => Err(wrong(value, "a right")),
    }
}

/// These bytes, if the type has as many.
fn sized(ty: &Type, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    match ty.bytes() as usize {
        0 => Ok(bytes),
        size if size == bytes.len() => Ok(bytes),
        size => Err(format!("{} bytes are given, and the type has {size}", bytes.len())),
    }
}

fn write_number(scalar: Scalar, value: &Value) -> Result<Vec<u8>, String> {
    let size = scalar.bits as usize / 8;
    let bits = match value {
        Value::Bool(value) => u64::from(*value),
        _ if scalar.is_float => {
            let real = value.as_f64().ok_or_else(|| wrong(value, "a number"))?;
            if size == 4 { u64::from((real as f32).to_bits()) } else { real.to_bits() }
        }
        _ => {
            let integer = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
            let integer = integer.ok_or_else(|| wrong(value, "an integer"))?;
            let most = 1_i128 << scalar.bits.min(64);
            if integer >= most || integer < -(most / 2) {
                return Err(format!("{integer} has no room in {} bits", scalar.bits));
            }
            integer as u64
        }
    };
    match size {
        1..=8 => Ok(bits.to_le_bytes()[..size].to_vec()),
        _ => Err(wrong(value, "an object with `hex`")),
    }
}

/// A string with its NUL.
fn write_text(value: &Value) -> Result<Vec<u8>, String> {
    let text = value.as_str().ok_or_else(|| wrong(value, "a string"))?;
    if text.contains('\0') {
        return Err("a C string has no NUL in it".to_owned());
    }
    Ok([text.as_bytes(), &[0]].concat())
}

/// The bytes of `{"hex": "00ff"}`; `None` for other values.
fn of_hex(value: &Value) -> Result<Option<Vec<u8>>, String> {
    let Some(digits) = value.as_object().filter(|fields| fields.len() == 1).and_then(|one| one.get("hex"))
    else {
        return Ok(None);
    };
    let digits = digits.as_str().ok_or_else(|| wrong(digits, "a string of hexadecimal digits"))?;
    let odd = || format!("`{digits}` is no even number of hexadecimal digits");
    crate::input::hex_digits(digits.bytes()).map(Some).ok_or_else(odd)
}

/// A right: `{"name": 259, "right": "copy_send"}`, or only its name.
pub(crate) fn write_right(value: &Value, usual: Option<u32>) -> Result<(u64, u32), String> {
    let name = value.get("name").unwrap_or(value);
    let name = name.as_u64().ok_or_else(|| wrong(value, "the name of a right"))?;
    Ok((name, disposition(value, usual)?))
}

/// What an object says of the disposition of its right or rights.
pub(crate) fn disposition(value: &Value, usual: Option<u32>) -> Result<u32, String> {
    match value.get("right").map(|right| (right, right.as_str().and_then(disposition_by_name))) {
        Some((_, Some(disposition))) => Ok(disposition),
        Some((right, None)) => Err(wrong(right, "a disposition, such as \"copy_send\"")),
        None => usual.ok_or_else(|| {
            "the caller says what to do with this right: {\"name\": …, \"right\": \"copy_send\"}".to_owned()
        }),
    }
}

/// A field of an object that is a number.
pub(crate) fn field(value: &Value, name: &str) -> Result<u64, String> {
    let number = value.get(name).and_then(Value::as_u64);
    number.ok_or_else(|| wrong(value, &format!("an object with the number `{name}`")))
}

pub(crate) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// Memory out of line.
pub(crate) fn memory(address: u64, count: u64, deallocate: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("address".to_owned(), json!(address));
    fields.insert("count".to_owned(), json!(count));
    fields.insert("deallocate".to_owned(), json!(deallocate));
    fields
}

pub(crate) fn wrong(value: &Value, wanted: &str) -> String {
    format!("`{value}` is not {wanted}")
}

/// A value for people. Rights and memory are short; long lists are cut.
pub(crate) fn text(value: &Value) -> String {
    const LONGEST: usize = 200;
    let number = |name| value.get(name).and_then(Value::as_u64);
    let mut text = match (value, number("name"), number("address"), value.get("hex")) {
        (Value::Object(_), Some(name), ..) => right_text(name, disposition(value, Some(0)).unwrap_or(0)),
        (Value::Object(_), _, Some(address), _) => {
            format!("{} elements at {address:#x}", number("count").unwrap_or(0))
        }
        (Value::Object(_), _, _, Some(Value::String(digits))) => digits.clone(),
        (Value::Array(list), ..) => {
            format!("[{}]", list.iter().map(self::text).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    };
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

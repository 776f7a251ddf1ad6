//! What stands between the braces of `interface!`.

use std::env;
use std::path::PathBuf;

use mig_codegen::{Config, Side};
use proc_macro2::Span;
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, Lit, LitBool, LitInt, LitStr, Path, Token, braced, bracketed};

/// The arguments of `interface!`.
pub(crate) struct Arguments {
    pub(crate) source: Source,
    /// Whether the arguments name an ABI.
    pub(crate) has_abi: bool,
    config: Config,
}

/// Where the interface is written.
pub(crate) enum Source {
    /// `path: "…"`
    Path(FilePath),
    /// `inline: "…"`
    Inline(LitStr),
}

/// A path as it is on the disk, and where it stands in the program.
pub(crate) struct FilePath {
    pub(crate) absolute: PathBuf,
    pub(crate) span: Span,
}

impl Arguments {
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut source = None;
        let mut config = Config::new();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            if seen.contains(&key) {
                return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
            }
            input.parse::<Token![:]>()?;
            match key.to_string().as_str() {
                "path" | "inline" if source.is_some() => {
                    return Err(syn::Error::new(key.span(), "give either `path` or `inline`"));
                }
                "path" => source = Some(Source::Path(file_path(&input.parse()?))),
                "inline" => source = Some(Source::Inline(input.parse()?)),
                _ => config = option(config, &key, input)?,
            }
            seen.push(key);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let source = source.ok_or_else(|| input.error("`path: \"…\"` or `inline: \"…\"` is missing"))?;
        let has_abi = seen.iter().any(|key| key == "abi");
        Ok(Arguments { source, has_abi, config })
    }
}

fn option(config: Config, key: &Ident, input: ParseStream<'_>) -> syn::Result<Config> {
    Ok(match key.to_string().as_str() {
        "include" => list::<LitStr>(input)?
            .iter()
            .fold(config, |config, dir| config.include_dir(file_path(dir).absolute)),
        "imacros" => list::<LitStr>(input)?
            .iter()
            .fold(config, |config, file| config.macros_of(file_path(file).absolute)),
        "first" => list::<LitStr>(input)?
            .iter()
            .fold(config, |config, file| config.read_first(file_path(file).absolute)),
        "define" => map::<Lit>(input)?.into_iter().try_fold(config, |config, (name, value)| {
            Ok::<_, syn::Error>(config.define(name, text(&value)?))
        })?,
        "undefine" => {
            list::<Ident>(input)?.iter().fold(config, |config, name| config.undefine(name.to_string()))
        }
        "extern_type" => map::<ExternType>(input)?
            .into_iter()
            .fold(config, |config, (name, ExternType(path))| config.extern_type(name, path)),
        "abi" => config.abi(input.parse::<LitStr>()?.value()),
        "arch" => config.arch(input.parse::<LitStr>()?.value()),
        "prefix" => config.prefix(input.parse::<LitStr>()?.value()),
        "side" => config.side(side(&input.parse()?)?),
        "kernel_objects" => config.kernel_objects(input.parse::<LitBool>()?.value),
        "crate" => config.runtime_crate(input.parse::<Ident>()?.to_string()),
        _ => {
            let known = "path, inline, include, imacros, first, define, undefine, abi, arch, prefix, side, extern_type, kernel_objects, crate";
            return Err(syn::Error::new(key.span(), format!("unknown argument `{key}`; there are {known}")));
        }
    })
}

/// `crate::Info`, or `crate::Info: 72` where C has another size than the `.defs`.
struct ExternType(String);

impl Parse for ExternType {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut text = input.parse::<Path>()?.to_token_stream().to_string();
        if input.parse::<Option<Token![:]>>()?.is_some() {
            text += &format!(":{}", input.parse::<LitInt>()?.base10_parse::<u32>()?);
        }
        Ok(ExternType(text))
    }
}

/// `[a, b]`
fn list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let content;
    bracketed!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// `{ a: b, c: d }`
fn map<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<(String, T)>> {
    let content;
    braced!(content in input);
    let mut pairs = Vec::new();
    while !content.is_empty() {
        let key = content.call(Ident::parse_any)?;
        content.parse::<Token![:]>()?;
        pairs.push((key.to_string(), content.parse()?));
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    Ok(pairs)
}

/// The text that a macro of the preprocessor stands for.
fn text(value: &Lit) -> syn::Result<String> {
    match value {
        Lit::Int(number) => Ok(number.base10_digits().to_owned()),
        Lit::Str(text) => Ok(text.value()),
        other => Err(syn::Error::new(other.span(), "the value of a macro is a number or a string")),
    }
}

fn side(name: &Ident) -> syn::Result<Side> {
    match name.to_string().as_str() {
        "client" => Ok(Side::Client),
        "server" => Ok(Side::Server),
        "both" => Ok(Side::Both),
        _ => Err(syn::Error::new(name.span(), "the side is `client`, `server` or `both`")),
    }
}

/// Paths are relative to the folder of `Cargo.toml`; a name in angle brackets is looked for on the include
/// path.
fn file_path(path: &LitStr) -> FilePath {
    let (text, span) = (path.value(), path.span());
    if text.starts_with('<') {
        return FilePath { absolute: text.into(), span };
    }
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    FilePath { absolute: folder.join(text), span }
}

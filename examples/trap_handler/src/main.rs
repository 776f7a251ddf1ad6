//! Runs compiled code that traps, and says why it did.

#[cfg(target_vendor = "apple")]
mod guarded;
#[cfg(target_vendor = "apple")]
mod macos;

#[cfg(target_vendor = "apple")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    macos::main()
}

#[cfg(not(target_vendor = "apple"))]
fn main() {
    println!("this program is for macOS; `cargo xtask test --only macOS` runs it on Linux");
}

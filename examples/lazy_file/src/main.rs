//! Searches a compressed text, of which only the pages that are looked at are decoded.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use lazy_file_example::Compressed;
    use mach_defs::gnu::memory_object::memory_object;
    use mach_vm::{Limits, Protection, Vm};
    use mig_runtime::ReceiveRight;
    use mig_runtime::Server;
    use mig_runtime::kernel::local::Host;
    use std::time::Instant;

    let lines = (0..1_000_000_u64)
        .map(|number| format!("line {number} of a long text, and a square: {}\n", number * number));
    let file = Compressed::new(lines.collect::<String>().as_bytes());
    println!("{} MiB, compressed to {} MiB", file.len() >> 20, file.compressed_len() >> 20);

    let host: Host = Host::new();
    let vm = Vm::new(&host, Limits { resident: 4 << 20, ..Limits::default() })?;
    let port = ReceiveRight::allocate(&host.new_task("file"))?;
    Server::on(&port).with(memory_object(&file)).serve_while(|| {
        let text = vm.map(port.make_send()?, 0, file.len(), Protection::Read)?;

        let start = Instant::now();
        let found = find(&text, 654_321).to_owned();
        let lazily = start.elapsed();
        println!("found: {}", String::from_utf8_lossy(&found));
        println!("pages asked for: {} of {}", vm.statistics().requests, text.len() / 4096);

        let start = Instant::now();
        let whole = file.decompress().ok_or("the file is damaged")?;
        assert_eq!(find(&whole, 654_321), found);
        println!("that took {lazily:.1?}, and {:.1?} with all of it decompressed first", start.elapsed());

        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        println!("lines: {lines}, with at most {} KiB resident", vm.statistics().peak_resident >> 10);
        Ok(())
    })?
}

/// The line of this number in a text of lines in order. The search halves the text each time, so that it
/// looks at few places.
#[cfg(target_os = "linux")]
fn find(text: &[u8], number: u64) -> &[u8] {
    let line_after = |at: usize| text[at..].split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let number_of = |line| -> Option<u64> { std::str::from_utf8(line).ok()?.split(' ').nth(1)?.parse().ok() };
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match number_of(line_after(middle)) {
            Some(found) if found < number => low = middle + 1,
            _ => high = middle,
        }
    }
    line_after(low)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this example needs Linux");
}

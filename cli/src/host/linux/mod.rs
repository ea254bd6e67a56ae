//! Linux as a guest: Debian's kernel for i386 with a shell, in the file of the program `linux`.
//!
//! The guest's memory becomes segments of the program's file, so the kernel loads the guest with the program. The guest's
//! kernel is unpacked here, so that the guest does not do it at every start.

mod elf;
mod packages;
mod ramdisk;

use crate::host::child;
use crate::host::error::Error;
use crate::host::tools;
use elf::Segment;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use vmm::linux::{Boot, Header, MONITOR_BASE, ZERO_PAGE, pc_memory};
use vmm::vmlinux::Vmlinux;

pub use packages::{fetch, is_there};

/// Bytes of the guest's memory.
const MEMORY: u32 = 64 << 20;
/// Guest-physical addresses.
const ZERO_PAGE_AT: u32 = 0x7000;
const COMMAND_LINE_AT: u32 = 0x2_0000;
const PAGE: u32 = abi::PAGE_SIZE;
/// Pages of the monitor besides the guest's memory: its own, and page tables.
const MONITOR_PAGES: u32 = 256;
/// How long unpacking the kernel may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The kernel's command line: the console, no devices that the monitor lacks, and nothing that takes long on an emulator.
const COMMAND_LINE: &str = "console=ttyS0 quiet mitigations=off cryptomgr.notests io_delay=none rodata=off tsc=reliable \
    8250.nr_uarts=1 acpi=off pci=off noapic nolapic no_timer_check panic=-1 rdinit=/init";
/// Parts of the kernel that only take time here.
const NOT_CALLED: &str = "initcall_blacklist=load_system_certificate_list,crypto_kdf108_init,init_kprobe_trace,\
cubictcp_register,bpf_rstat_kfunc_init,bpf_key_sig_kfuncs_init,kfunc_init,bpf_prog_test_run_init,\
bpf_tcp_ca_kfunc_init,ftrace_check_for_weak_functions,trace_eval_init,tracer_init_tracefs,init_graph_tracefs,\
trace_events_synth_init,isapnp_init,digsig_init,crc64_rocksoft_mod_init,crc_t10dif_mod_init,init_optprobes";

/// The program's file with a guest in it, and the line of the boot list that starts it.
pub struct Linux {
    /// The ELF file.
    pub elf: Vec<u8>,
    /// The boot list.
    pub boot_list: String,
}

/// Puts the guest together. `monitor` is the file of the program `linux`; `commands` are what the guest's first process
/// executes before it gives the console to a shell. With `measures`, the monitor measures how long Linux takes to its
/// prompt, and ends there.
///
/// # Errors
/// [`Error::Guest`] if one of the files cannot be used.
pub fn build(monitor: &[u8], commands: &str, measures: bool) -> Result<Linux, Error> {
    let files = packages::files()?;
    let read = |path: &Path| fs::read(path).map_err(Error::file("read", path));
    let (packed, busybox) = (read(&files.kernel)?, read(&files.busybox)?);
    let bad = |problem: &dyn ToString| Error::Guest { file: files.kernel.clone(), problem: problem.to_string() };
    let header = Header::parse(&packed).map_err(|problem| bad(&problem))?;
    let unpacked = unpack(header.payload().ok_or_else(|| bad(&"its kernel is not packed"))?)?;
    let kernel = Vmlinux::parse(&unpacked, 1 << 20..MEMORY).map_err(|problem| bad(&problem))?;

    let mut image = Segment::new(kernel.segments().map(|part| part.address).min().unwrap_or(0) / PAGE * PAGE);
    let mut end = image.address;
    for part in kernel.segments() {
        image.put(part.address, part.bytes);
        end = end.max(part.address + part.size);
    }
    let mut ramdisk = Segment::new(end.next_multiple_of(PAGE));
    ramdisk.put(ramdisk.address, &ramdisk::ramdisk(&busybox, commands)?);

    let command_line = format!("{COMMAND_LINE} {NOT_CALLED}");
    let boot = Boot {
        memory: &pc_memory(MEMORY),
        command_line: COMMAND_LINE_AT..COMMAND_LINE_AT + command_line.len() as u32,
        ramdisk: Some(ramdisk.address..ramdisk.end()),
    };
    let mut zero_page = [0; ZERO_PAGE];
    boot.zero_page(&header, &mut zero_page).map_err(|problem| bad(&problem))?;
    let mut low = Segment::new(ZERO_PAGE_AT);
    low.put(ZERO_PAGE_AT, &zero_page);
    low.put(COMMAND_LINE_AT, command_line.as_bytes());
    // The 0 at the end of the command line.
    low.put(COMMAND_LINE_AT + command_line.len() as u32, &[0]);

    let elf = elf::with_segments(monitor, MONITOR_BASE, &[low, image, ramdisk]);
    let (entry, pages) = (kernel.entry(), MEMORY / PAGE);
    let measure = if measures { " measure" } else { "" };
    let boot_list = format!("0 linux {} {entry} {ZERO_PAGE_AT} {pages}{measure}\n", pages + MONITOR_PAGES);
    Ok(Linux { elf, boot_list })
}

/// Unpacks the kernel, which XZ has packed. Behind it is its size, which does not count.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let directory = tempfile::tempdir().map_err(Error::file("make a directory in", &std::env::temp_dir()))?;
    let [from, to] = ["packed", "unpacked"].map(|name| directory.path().join(name));
    fs::write(&from, packed).map_err(Error::file("write", &from))?;
    let input = File::open(&from).map_err(Error::file("read", &from))?;
    let output = File::create(&to).map_err(Error::file("write", &to))?;
    let mut child = Command::new(tools::XZ)
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(Error::start(tools::XZ))?;
    if !child::wait(&mut child, tools::XZ, LIMIT)?.success() {
        return Err(Error::Failed { program: tools::XZ.to_owned() });
    }
    fs::read(&to).map_err(Error::file("read", &to))
}

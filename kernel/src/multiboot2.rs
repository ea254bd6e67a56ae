//! The information that a multiboot2 boot loader, such as GRUB, hands over.

use crate::memory_map::{Kind, MemoryMap, Region};
use crate::start_info::{Error, StartInfo};
use core::ptr;
use multiboot2::{BootInformation, MemoryAreaType};

/// What is in `eax` when a multiboot2 boot loader starts an image.
pub const MAGIC: u32 = multiboot2::MAGIC;

/// Reads the information; it was loaded from where it lies in physical memory, plus `offset`.
pub fn parse<'a>(info: &'a BootInformation, offset: u64) -> Result<StartInfo<'a>, Error> {
    let mut map = MemoryMap::default();
    for area in info.memory_map_tag().ok_or(Error::NoMemoryMap)?.memory_areas() {
        let kind = match area.typ() {
            MemoryAreaType::Available => Kind::Ram,
            MemoryAreaType::AcpiAvailable => Kind::Acpi,
            _ => Kind::Reserved,
        };
        let start = area.start_address();
        map.push(Region { start, end: start.saturating_add(area.size()), kind })?;
    }
    let archive = info.module_tags().next().map(|module| module.start_address().into()..module.end_address().into());
    // The tag holds a copy of the root pointer, behind its type and size.
    const TAG_HEADER: u64 = 8;
    let newer = info.rsdp_v2_tag().map(|tag| ptr::from_ref(tag).addr());
    let tag = newer.or_else(|| info.rsdp_v1_tag().map(|tag| ptr::from_ref(tag).addr()));
    let rsdp = tag.map(|tag| (tag as u64 + TAG_HEADER).wrapping_sub(offset));
    let command_line = info.command_line_tag().and_then(|tag| tag.cmdline().ok()).unwrap_or("");
    Ok(StartInfo { map, archive, rsdp, command_line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiboot2::{Builder, CommandLineTag, MemoryArea, MemoryMapTag, ModuleTag, RsdpV1Tag};

    fn parse_built(builder: Builder, check: impl FnOnce(Result<StartInfo, Error>)) {
        let bytes = builder.build();
        // SAFETY: the builder gives a whole and aligned structure, which outlives this.
        let info = unsafe { BootInformation::load(ptr::from_ref(&*bytes).cast()) }.expect("the builder is right");
        check(parse(&info, 0))
    }

    #[test]
    fn what_grub_says_is_read() {
        let areas = [MemoryArea::new(0, 0x9f000, 1u32), MemoryArea::new(0x10_0000, u64::MAX, 2u32)];
        let builder = Builder::new()
            .cmdline(CommandLineTag::new("lock=mcs"))
            .mmap(MemoryMapTag::new(&areas))
            .add_module(ModuleTag::new(0x20_0000, 0x20_1000, "boot.tar"))
            .rsdpv1(RsdpV1Tag::new(*b"CAIRN ", 0, 0xf_0000));
        parse_built(builder, |info| {
            let info = info.expect("nothing is wrong with it");
            assert_eq!(info.archive, Some(0x20_0000..0x20_1000));
            assert_eq!(info.map.ram_bytes(), 0x9f000);
            assert!(info.rsdp.is_some());
            assert_eq!(info.command_line, "lock=mcs");
        });
    }

    #[test]
    fn a_loader_without_a_memory_map_is_refused() {
        parse_built(Builder::new(), |info| assert_eq!(info.expect_err("no map"), Error::NoMemoryMap));
    }
}

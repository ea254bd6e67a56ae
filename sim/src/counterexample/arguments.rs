//! The arguments of a primitive by name.
use crate::machine::Sim;
use crate::state::values::NoSuch;
use layer::catalogue::{Primitive, Shape, TABLE};
use layer::core::call::{Arguments, Chunk};
use layer::core::constants::{SAVED, UCTXT_SIZE};
use layer::core::fields::Context;
use std::collections::BTreeMap;

/// The arguments of `primitive` with these values. Missing arguments are 0.
///
/// A word or wide word has its name from the table. There are also `place`, `rs.esp`, `rs.ra`, `chunk` (in bytes),
/// `register0` and following, `guest0` and following, `byte0` and following.
///
/// # Errors
/// If the primitive has no argument of a name, or if a value is out of range.
pub fn arguments(primitive: &Primitive, values: &BTreeMap<String, u64>) -> Result<Arguments<Sim>, NoSuch> {
    let word = |value: u64, name: &str| u32::try_from(value).map_err(|_| NoSuch(name.to_string()));
    let mut arguments: Arguments<Sim> = Arguments {
        words: [0; 4],
        wide: 0,
        place: 0,
        context: Context { esp: 0, ra: 0 },
        registers: [0; UCTXT_SIZE as usize],
        guest: [0; SAVED.len()],
        chunk: Chunk::One,
        bytes: [0; 8],
    };
    for (name, &value) in values {
        let numbered = |prefix: &str| -> Option<usize> { name.strip_prefix(prefix)?.parse().ok() };
        if let Some(at) = primitive.words().position(|other| other == name) {
            arguments.words[at] = word(value, name)?;
            continue;
        }
        match name.as_str() {
            "place" => arguments.place = value,
            "rs.esp" => arguments.context.esp = word(value, name)?,
            "rs.ra" => arguments.context.ra = word(value, name)?,
            "chunk" => {
                let chunk = Chunk::ALL.into_iter().find(|&chunk| chunk as u64 == value);
                arguments.chunk = chunk.ok_or_else(|| NoSuch(name.clone()))?;
            }
            wide if TABLE.iter().any(|row| row.shape(wide) == Some(Shape::Wide)) => arguments.wide = value,
            _ => {
                let (register, guest, byte) = (numbered("register"), numbered("guest"), numbered("byte"));
                if let Some(register) = register.and_then(|k| arguments.registers.get_mut(k)) {
                    *register = value;
                } else if let Some(register) = guest.and_then(|k| arguments.guest.get_mut(k)) {
                    *register = value;
                } else if let Some(byte) = byte.and_then(|k| arguments.bytes.get_mut(k)) {
                    *byte = word(value, name)?;
                } else {
                    return Err(NoSuch(name.clone()));
                }
            }
        }
    }
    Ok(arguments)
}

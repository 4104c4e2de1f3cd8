//! What an oracle answered, as files in `tests/oracle/vectors`.
//!
//! A few lines of text say what the file is and how it was made; then come the length and the CRC-32 of the rest, which is
//! compressed (zlib): row by row its identity, the numbers of its vectors, what they execute, and every word that the
//! oracle changed. The states before are not there, for they follow from row and number ([`before`]); a CRC-32 of them
//! tells whether they still are what the oracle was given.

use super::{Isa, Random, Row};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The first line but for the version.
const MAGIC: &str = "emu oracle vectors, version ";
const VERSION: u32 = 1;
/// The command that makes the files.
pub const MADE_BY: &str = "EMU_ORACLE_WRITE=1 cargo test --test emu oracle";

/// An instruction's states: before, and after by the oracle.
pub struct Vector<R> {
    pub number: u32,
    pub before: R,
    pub after: R,
}

/// A row with its vectors.
pub type Answers<R> = (Row, Vec<Vector<R>>);

/// The path of an instruction set's file.
pub fn path<I: Isa>(file: &str) -> PathBuf {
    let name = format!("tests/oracle/vectors/{}-{file}.vec", I::NAME);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What is executed in a row's vector of that number.
pub fn code<I: Isa>(row: &Row, number: u32) -> I::Record {
    I::code(row, &mut Random::of(&format!("code {}", row.id()), number.into()))
}

/// The state before it.
pub fn before<I: Isa>(row: &Row, number: u32, mut code: I::Record) -> I::Record {
    let mut random = Random::of(&format!("state {}", row.id()), number.into());
    I::state(row, &mut code, &mut random);
    code
}

/// Which words of a record the oracle changed, and to what.
fn changes<I: Isa>(v: &Vector<I::Record>) -> impl Iterator<Item = (usize, u32)> {
    let pairs = words::<I>(&v.before).iter().zip(words::<I>(&v.after)).enumerate();
    pairs.filter(|(_, (b, a))| b != a).map(|(i, (_, a))| (i, *a))
}

fn words<I: Isa>(r: &I::Record) -> &[u32] {
    bytemuck::cast_slice(bytemuck::bytes_of(r))
}

fn crc<I: Isa>(vectors: &[Vector<I::Record>]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    vectors.iter().for_each(|v| crc.update(bytemuck::bytes_of(&v.before)));
    crc.finalize()
}

/// A file's bytes.
pub fn write<I: Isa>(oracle: &str, rows: &[Answers<I::Record>]) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, rows.len());
    for (row, vectors) in rows {
        for text in [&row.file, &row.name, &row.pattern] {
            put(&mut body, text.len());
            body.extend(text.as_bytes());
        }
        write_row::<I>(&mut body, vectors);
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = packed.write_all(&body).and_then(|()| packed.finish());
    let packed = packed.expect("memory takes all");
    let mut out = format!("{MAGIC}{VERSION}\nmade by: {MADE_BY}\noracle: {oracle}\n\n").into_bytes();
    put(&mut out, packed.len());
    put(&mut out, crc32fast::hash(&packed) as usize);
    out.extend(packed);
    out
}

/// By column, which compresses better.
fn write_row<I: Isa>(body: &mut Vec<u8>, vectors: &[Vector<I::Record>]) {
    put(body, vectors.len());
    put(body, crc::<I>(vectors) as usize);
    vectors.iter().for_each(|v| put(body, v.number as usize));
    for word in 0..I::CODE_WORDS {
        vectors
            .iter()
            .for_each(|v| put(body, words::<I>(&v.before)[word] as usize));
    }
    vectors.iter().for_each(|v| put(body, changes::<I>(v).count()));
    let all = || vectors.iter().flat_map(changes::<I>);
    all().for_each(|(at, _)| put(body, at));
    all().for_each(|(_, value)| put(body, value as usize));
}

fn put(to: &mut Vec<u8>, word: usize) {
    to.extend((word as u32).to_le_bytes());
}

/// Bytes that are being read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("is cut short")?;
        self.0 = rest;
        Ok(taken)
    }
    fn word(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?.try_into().expect("four bytes");
        Ok(u32::from_le_bytes(bytes))
    }
    fn column(&mut self, count: u32) -> Result<Vec<u32>, String> {
        let (words, _) = self.take(4 * count as usize)?.as_chunks();
        Ok(words.iter().map(|w| u32::from_le_bytes(*w)).collect())
    }
    fn text(&mut self) -> Result<String, String> {
        let count = self.word()?;
        let bytes = self.take(count as usize)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "is damaged".into())
    }
    /// Up to the end of the line.
    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.0.iter().take(200).position(|b| *b == b'\n');
        let line = self.take(end.ok_or("is not a file of oracle vectors")? + 1)?;
        std::str::from_utf8(&line[..line.len() - 1]).map_err(|_| "is not a file of oracle vectors".into())
    }
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn load<I: Isa>(file: &str) -> Result<Vec<Answers<I::Record>>, String> {
    let path = path::<I>(file);
    let bytes = std::fs::read(&path).map_err(|e| e.to_string());
    let rows = bytes.and_then(|b| read::<I>(&b));
    rows.map_err(|e| format!("{}: {e}; {MADE_BY} makes it anew", path.display()))
}

/// Reads a file's bytes.
///
/// # Errors
/// What is wrong with them.
pub fn read<I: Isa>(file: &[u8]) -> Result<Vec<Answers<I::Record>>, String> {
    let mut file = Bytes(file);
    let first = file.line()?;
    let version = first.strip_prefix(MAGIC).ok_or("is not a file of oracle vectors")?;
    if version.parse() != Ok(VERSION) {
        return Err(format!("is of version {version}, known is {VERSION}"));
    }
    while !file.line()?.is_empty() {}
    let (length, sum) = (file.word()?, file.word()?);
    let packed = file.take(length as usize)?;
    if crc32fast::hash(packed) != sum || !file.0.is_empty() {
        return Err("is damaged".into());
    }
    let mut body = Vec::new();
    ZlibDecoder::new(packed)
        .read_to_end(&mut body)
        .map_err(|e| format!("is damaged: {e}"))?;
    let mut body = Bytes(&body);
    let rows = body.word()?;
    (0..rows).map(|_| read_row::<I>(&mut body)).collect()
}

fn read_row<I: Isa>(body: &mut Bytes) -> Result<Answers<I::Record>, String> {
    let row = Row {
        file: body.text()?,
        name: body.text()?,
        pattern: body.text()?,
    };
    let (count, sum) = (body.word()?, body.word()?);
    let numbers = body.column(count)?;
    let mut codes = vec![<I::Record as bytemuck::Zeroable>::zeroed(); count as usize];
    for word in 0..I::CODE_WORDS {
        for (code, value) in codes.iter_mut().zip(body.column(count)?) {
            bytemuck::cast_slice_mut::<_, u32>(bytemuck::bytes_of_mut(code))[word] = value;
        }
    }
    let changed = body.column(count)?;
    let all: u32 = changed.iter().sum();
    let (places, values) = (body.column(all)?, body.column(all)?);
    let mut changes = places.into_iter().zip(values);
    let mut vectors = Vec::with_capacity(count as usize);
    for ((number, code), changed) in numbers.into_iter().zip(codes).zip(changed) {
        let before = before::<I>(&row, number, code);
        let mut after = before;
        let words = bytemuck::cast_slice_mut::<_, u32>(bytemuck::bytes_of_mut(&mut after));
        for (place, value) in changes.by_ref().take(changed as usize) {
            *words.get_mut(place as usize).ok_or("is damaged")? = value;
        }
        vectors.push(Vector { number, before, after });
    }
    if crc::<I>(&vectors) != sum {
        return Err(format!("has {} on other states than are made now", row.id()));
    }
    Ok((row, vectors))
}

#[cfg(test)]
mod tests {
    use super::super::arm::Arm;
    use super::*;

    /// A small file, and what is in it.
    fn file() -> (Vec<u8>, Vec<Answers<<Arm as Isa>::Record>>) {
        let rows = Arm::rows().into_iter().take(3);
        let vector = |row: &Row, number| {
            let before = before::<Arm>(row, number, code::<Arm>(row, number));
            let mut after = before;
            (after.r[number as usize], after.pc) = (number, before.pc + 4);
            Vector { number, before, after }
        };
        let answers = rows.map(|row| ((0..5).map(|n| vector(&row, n)).collect(), row));
        let answers: Vec<_> = answers.map(|(vectors, row)| (row, vectors)).collect();
        (write::<Arm>("a test", &answers), answers)
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, answers) = file();

        let read = read::<Arm>(&bytes).unwrap();

        assert_eq!(read.len(), answers.len());
        for ((row, vectors), (read_row, read_vectors)) in answers.iter().zip(&read) {
            assert_eq!(row, read_row);
            assert!(
                vectors
                    .iter()
                    .zip(read_vectors)
                    .all(|(v, r)| v.before == r.before && v.after == r.after)
            );
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let (bytes, _) = file();
        for length in 0..bytes.len() {
            assert!(read::<Arm>(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let (bytes, _) = file();
        let start = bytes.windows(2).position(|w| w == b"\n\n").unwrap() + 2;
        for at in start..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(read::<Arm>(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_version_is_refused() {
        let (mut bytes, _) = file();
        bytes[MAGIC.len()] = b'9';

        let error = read::<Arm>(&bytes).err().unwrap();

        assert_eq!(error, "is of version 9, known is 1");
    }

    #[test]
    fn other_states_than_the_oracle_had_are_refused() {
        let (_, mut answers) = file();
        answers[1].1[2].before.r[3] ^= 1;

        let error = read::<Arm>(&write::<Arm>("a test", &answers)).err().unwrap();

        assert!(error.contains("other states"), "{error}");
        assert!(error.contains(&answers[1].0.name), "{error}");
    }

    #[test]
    fn a_missing_file_is_named_with_the_way_out() {
        let error = load::<Arm>("none").err().unwrap();

        assert!(error.contains("tests/oracle/vectors/arm-none.vec"), "{error}");
        assert!(error.contains(MADE_BY), "{error}");
    }
}

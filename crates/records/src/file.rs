//! One file of a log: plain, gzip or zstd, as its first bytes tell, whatever its name is.
//!
//! What is compressed is decompressed as it is read, so a small file that stands for a large one takes time, and no memory:
//! gzip has a window of 32 KiB, and a frame of zstd that wants one of more than 128 MiB is an error. Files of several members
//! or frames one after the other are read to their end, as `gzip -d` and `zstd -d` do. xz and bzip2 are told by name.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::zstd_frames::ZstdFrames;

/// The way in which a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// The reason why a file cannot be read as a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenProblem {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a directory.
    #[error("it is a directory; name the files in it")]
    Directory,
    /// It is compressed in a way that is not read here.
    #[error(
        "it is compressed with {0}, which is not read here: write `{0} -dc FILE | …` and `-` for standard input"
    )]
    OtherCompression(&'static str),
}

/// A file of a log, opened.
pub(crate) struct LogInput {
    bytes: Bytes,
    compression: Compression,
}

/// The bytes as they lie there.
enum Bytes {
    /// A file that can be read again from its beginning.
    Again(File),
    /// A pipe, or standard input, of which the beginning was read.
    Once(Box<dyn Read + Send>),
}

impl LogInput {
    /// Opens a file, and looks at its first bytes. A named pipe is waited for.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenProblem> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(OpenProblem::Directory);
        }
        if !metadata.is_file() {
            return Self::once(file);
        }
        let (beginning, mut file) = beginning_of(file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self {
            bytes: Bytes::Again(file),
            compression: compression(&beginning)?,
        })
    }

    /// What comes from `input`.
    pub(crate) fn once(input: impl Read + Send + 'static) -> Result<Self, OpenProblem> {
        let (beginning, input) = beginning_of(input)?;
        Ok(Self {
            compression: compression(&beginning)?,
            bytes: Bytes::Once(Box::new(Cursor::new(beginning).chain(input))),
        })
    }

    /// The file itself, if it can be read more than once.
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.bytes {
            Bytes::Again(file) => Some(file),
            Bytes::Once(_) => None,
        }
    }

    /// The text, decompressed.
    pub(crate) fn text(self) -> Text {
        let bytes: Box<dyn Read + Send> = match self.bytes {
            Bytes::Again(file) => Box::new(file),
            Bytes::Once(input) => input,
        };
        Text::new(bytes, self.compression)
    }

    /// The text of a second handle on the same file, which stands where the first one does.
    pub(crate) fn text_again(&self) -> Option<io::Result<Text>> {
        let file = self.file()?;
        Some(
            file.try_clone()
                .map(|file| Text::new(Box::new(file), self.compression)),
        )
    }

    /// Goes back to the beginning of what can be read again.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        match &mut self.bytes {
            Bytes::Again(file) => file.seek(SeekFrom::Start(0)).map(drop),
            Bytes::Once(_) => Ok(()),
        }
    }
}

/// The text of a log, decompressed while it is read.
pub(crate) enum Text {
    Plain(Box<dyn Read + Send>),
    Gzip(Box<MultiGzDecoder<Compressed>>),
    Zstd(Box<ZstdFrames<Compressed>>),
}

type Compressed = BufReader<Box<dyn Read + Send>>;

impl Text {
    fn new(bytes: Box<dyn Read + Send>, compression: Compression) -> Self {
        let buffered = |bytes| BufReader::with_capacity(COMPRESSED, bytes);
        match compression {
            Compression::None => Self::Plain(bytes),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(bytes)))),
            Compression::Zstd => Self::Zstd(Box::new(ZstdFrames::new(buffered(bytes)))),
        }
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(bytes) => bytes.read(buffer),
            Self::Gzip(bytes) => bytes.read(buffer),
            Self::Zstd(frames) => frames.read(buffer),
        }
    }
}

/// As much of what is compressed as is read at once.
const COMPRESSED: usize = 64 << 10;

/// The first bytes of `input`, fewer where there are not so many.
fn beginning_of<R: Read>(mut input: R) -> io::Result<(Vec<u8>, R)> {
    let mut beginning = Vec::with_capacity(LONGEST_MAGIC);
    input
        .by_ref()
        .take(LONGEST_MAGIC as u64)
        .read_to_end(&mut beginning)?;
    Ok((beginning, input))
}

fn compression(beginning: &[u8]) -> Result<Compression, OpenProblem> {
    let rows: [(&[u8], Result<Compression, &'static str>); 5] = [
        (b"\x1f\x8b", Ok(Compression::Gzip)),
        (b"\x28\xb5\x2f\xfd", Ok(Compression::Zstd)),
        (b"\xfd7zXZ\0", Err("xz")),
        (b"BZh", Err("bzip2")),
        (b"\x04\x22\x4d\x18", Err("lz4")),
    ];
    let known = rows.into_iter().find(|(magic, _)| beginning.starts_with(magic));
    match known {
        None => Ok(Compression::None),
        Some((_, Ok(compression))) => Ok(compression),
        Some((_, Err(program))) => Err(OpenProblem::OtherCompression(program)),
    }
}

/// The bytes of the longest of them.
const LONGEST_MAGIC: usize = 6;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn text_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let input = LogInput::once(Cursor::new(bytes.to_vec())).unwrap();
        let mut text = Vec::new();
        input.text().read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_a_file_is_is_told_by_its_bytes_and_it_is_read_to_the_end_of_all_its_parts() {
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0xyz";
        let rows = [
            (b"one\ntwo\n".to_vec(), &b"one\ntwo\n"[..]),
            (Vec::new(), b""),
            (b"{".to_vec(), b"{"),
            (gzip(b"one\n"), b"one\n"),
            ([gzip(b"one\n"), gzip(b"two\n")].concat(), b"one\ntwo\n"),
            (zstd(b"one\n"), b"one\n"),
            (
                [zstd(b"one\n"), zstd(b""), skippable.to_vec(), zstd(b"two\n")].concat(),
                b"one\ntwo\n",
            ),
        ];
        for (bytes, text) in rows {
            assert_eq!(text_of(&bytes).unwrap(), text, "{bytes:?}");
        }
        for whole in [gzip(&[b'x'; 10_000]), zstd(&[b'x'; 10_000])] {
            let cut_off = &whole[..whole.len() - 3];
            assert!(text_of(cut_off).is_err(), "{cut_off:?}");
            let followed = [&whole[..], b"rubbish"].concat();
            assert!(text_of(&followed).is_err(), "{followed:?}");
        }
    }

    #[test]
    fn what_is_not_read_here_is_told_with_the_program_that_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for (bytes, program) in [(&b"\xfd7zXZ\0\0"[..], "xz"), (b"BZh91AY", "bzip2")] {
            std::fs::write(&path, bytes).unwrap();
            let problem = LogInput::open(&path).err();
            assert!(matches!(problem, Some(OpenProblem::OtherCompression(own)) if own == program));
        }
        assert!(matches!(
            LogInput::open(folder.path()).err(),
            Some(OpenProblem::Directory)
        ));
        assert!(matches!(
            LogInput::open(&folder.path().join("no")).err(),
            Some(OpenProblem::Io(_))
        ));
    }

    #[test]
    fn a_file_is_read_again_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, gzip(b"one\n")).unwrap();
        let mut input = LogInput::open(&path).unwrap();
        let mut text = String::new();
        input
            .text_again()
            .unwrap()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        input.rewind().unwrap();
        input.text().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\none\n");
    }
}

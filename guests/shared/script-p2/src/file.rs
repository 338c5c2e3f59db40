//! Files of WASI 0.2.

use std::io::{Read, Write};

use script::Code;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

pub(crate) fn read(path: &str) -> Result<Vec<u8>, Code> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let mut content = Vec::new();
    let mut stream = file.read_via_stream(0).map_err(code)?;
    stream.read_to_end(&mut content).map_err(|_| Code::named("io"))?;
    Ok(content)
}

pub(crate) fn write(path: &str, content: &[u8]) -> Result<(), Code> {
    let file = open(path, OpenFlags::CREATE, DescriptorFlags::WRITE)?;
    let mut stream = file.write_via_stream(0).map_err(code)?;
    let written = stream.write_all(content).and_then(|()| Write::flush(&mut stream));
    written.map_err(|_| Code::named("io"))
}

fn open(path: &str, how: OpenFlags, access: DescriptorFlags) -> Result<Descriptor, Code> {
    let directories = get_directories();
    let (directory, _) = directories.first().ok_or(Code::named("no-directory"))?;
    directory
        .open_at(PathFlags::SYMLINK_FOLLOW, path, how, access)
        .map_err(code)
}

fn code(code: ErrorCode) -> Code {
    Code::named(code.name())
}

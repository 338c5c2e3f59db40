//! Files of WASI 0.3.

use script::Code;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::wit_stream;

pub(crate) async fn read(path: &str) -> Result<Vec<u8>, Code> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (content, result) = file.read_via_stream(0);
    let content = content.collect().await;
    result.await.map_err(code)?;
    Ok(content)
}

pub(crate) async fn write(path: &str, content: &[u8]) -> Result<(), Code> {
    let file = open(path, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (mut out, read) = wit_stream::new();
    let written = file.write_via_stream(read, 0);
    out.write_all(content.to_vec()).await;
    drop(out);
    written.await.map_err(code)
}

async fn open(path: &str, how: OpenFlags, access: DescriptorFlags) -> Result<Descriptor, Code> {
    let directories = get_directories();
    let (directory, _) = directories.first().ok_or(Code::named("no-directory"))?;
    directory
        .open_at(PathFlags::SYMLINK_FOLLOW, path.to_owned(), how, access)
        .await
        .map_err(code)
}

fn code(code: ErrorCode) -> Code {
    Code::of_variant(&code)
}

//! Random bytes for guests of WASI 0.2, in pieces (ISO-2).
//!
//! `get-random-bytes` has no bound of its own in WASI, and wasmtime makes all bytes in one go, one by one. Here a long
//! request is made in pieces, with room for others in between, and [`MOST`] bytes are the most. On WASI 0.3 a guest
//! gets as many as the host likes, so there the context's own bound of one [`PIECE`] does.

use rand::Rng;
use wasmtime::component::{Linker, LinkerInstance};

/// Bytes that are made in one go.
pub(crate) const PIECE: usize = 64 * 1024;

/// Bytes of one request. More trap, as in wasmtime.
const MOST: usize = 16 * 1024 * 1024;

/// Puts these in the place of wasmtime's.
pub(crate) fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = [
        ("wasi:random/random@0.2.12", "get-random-bytes"),
        ("wasi:random/insecure@0.2.12", "get-insecure-random-bytes"),
    ]
    .into_iter()
    .try_for_each(|(interface, function)| define(&mut linker.instance(interface)?, function));
    linker.allow_shadowing(false);
    added
}

fn define<T: Send + 'static>(interface: &mut LinkerInstance<'_, T>, function: &str) -> wasmtime::Result<()> {
    interface.func_wrap_async(function, |_, (length,): (u64,)| {
        Box::new(async move { Ok((random(length).await?,)) })
    })
}

async fn random(length: u64) -> wasmtime::Result<Vec<u8>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MOST {
        wasmtime::bail!("{length} random bytes were asked for at once, and {MOST} are the most");
    }
    let mut bytes = vec![0; length];
    for (number, piece) in bytes.chunks_mut(PIECE).enumerate() {
        if number > 0 {
            tokio::task::yield_now().await;
        }
        rand::rng().fill_bytes(piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: ISO-2
    #[tokio::test]
    async fn as_many_bytes_are_made_as_were_asked_for_up_to_a_bound() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, MOST] {
            let bytes = random(length as u64).await.unwrap();
            assert_eq!(bytes.len(), length);
            let zeroes = bytes.iter().filter(|byte| **byte == 0).count();
            assert!(zeroes <= 8 + length / 128, "{zeroes} of {length} are zero");
        }
        for length in [MOST as u64 + 1, u64::MAX] {
            assert!(random(length).await.is_err());
        }
    }

    // proves: ISO-2
    #[tokio::test]
    async fn others_have_their_turn_between_two_pieces() {
        let others = tokio::spawn(async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
        random(8 * PIECE as u64).await.unwrap();
        assert!(others.is_finished());
    }
}

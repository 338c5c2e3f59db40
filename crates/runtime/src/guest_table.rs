//! The table of what an instance holds of the host, which ends what its guest left unfinished.
//!
//! `wasmtime-wasi-http` takes a body whose writer is gone for one that is whole. So a guest that is stopped in the
//! middle of a response, or that returns without [finishing](HostOutgoingBody::finish) it, would have half of it pass
//! for all of it; the same goes for the body of a request that it sends. Here each such body is aborted when its
//! instance goes: whoever reads it gets an error instead of an end.
//!
//! Bodies of WASI 0.3 are not in the table. What there is for them is in `http/last_turn.rs`.

use std::mem;
use std::ops::{Deref, DerefMut};

use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};

/// A table that aborts the outgoing bodies that are in it when it is dropped.
pub(crate) struct GuestTable(ResourceTable);

impl GuestTable {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self(ResourceTable::new())
    }
}

impl Deref for GuestTable {
    type Target = ResourceTable;

    fn deref(&self) -> &ResourceTable {
        &self.0
    }
}

impl DerefMut for GuestTable {
    fn deref_mut(&mut self) -> &mut ResourceTable {
        &mut self.0
    }
}

impl Drop for GuestTable {
    fn drop(&mut self) {
        for entry in self.0.iter_mut() {
            if let Some(unfinished) = entry.downcast_mut::<HostOutgoingBody>() {
                mem::replace(unfinished, placeholder()).abort();
            }
        }
    }
}

/// A body that nobody reads.
fn placeholder() -> HostOutgoingBody {
    HostOutgoingBody::new(StreamContext::Response, None, 1, 1).0
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    // proves: ISO-8
    #[test]
    fn a_body_ends_well_only_if_its_guest_finished_it() {
        // (what its headers say, bytes written, finished, whether it ends well)
        let rows = [
            (None, 0, true, true),
            (None, 3, true, true),
            (None, 0, false, false),
            (None, 3, false, false),
            (Some(3), 3, true, true),
            (Some(3), 3, false, false),
            (Some(3), 2, true, false),
            (Some(3), 2, false, false),
        ];
        for (length, written, finished, ends_well) in rows {
            let mut table = GuestTable::new();
            let (mut body, read) = HostOutgoingBody::new(StreamContext::Response, length, 1, 1024);
            let mut stream = body.take_output_stream().expect("it is new");
            if written > 0 {
                stream.write(vec![0; written].into()).expect("there is room");
            }
            let body = table.push(body).expect("there is room");
            let stream = table.push_child(stream, &body).expect("there is room");
            if finished {
                table.delete(stream).expect("it is there");
                let _ = table.delete(body).expect("it is there").finish(None);
            }
            drop(table);
            let end = read.collect().now_or_never().expect("its writer is gone");
            assert_eq!(end.is_ok(), ends_well, "{length:?}, {written}, {finished}");
        }
    }
}

//! The machine's hosts file, hosts(5): `address name [alias…]`, `#` starts a comment.
//!
//! The file is read again when its modification time changes, as the C library does, so that an edit needs no
//! restart. A line that is not understood is skipped; a file that cannot be read is an empty one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use outport_policy::{Address, Name};

/// The names of a hosts file.
pub(super) struct HostsFile {
    path: PathBuf,
    read: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    modified: Option<SystemTime>,
    names: HashMap<Name, Vec<Address>>,
}

impl HostsFile {
    /// The hosts file at `path`; it need not exist.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
        }
    }

    /// The addresses that the file gives `name`, in the order of its lines.
    pub(super) fn addresses(&self, name: &Name) -> Option<Vec<Address>> {
        let modified = std::fs::metadata(&self.path)
            .and_then(|file| file.modified())
            .ok()?;
        let mut read = self
            .read
            .lock()
            .expect("nothing panics while the hosts file is locked");
        if read.modified != Some(modified) {
            let names = std::fs::read_to_string(&self.path)
                .map(|text| parse(&text))
                .unwrap_or_default();
            *read = Contents {
                modified: Some(modified),
                names,
            };
        }
        read.names.get(name).cloned()
    }
}

fn parse(text: &str) -> HashMap<Name, Vec<Address>> {
    let mut names: HashMap<Name, Vec<Address>> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        let address = Address::new(address);
        for name in words.filter_map(|word| Name::parse(word).ok()) {
            let addresses = names.entry(name).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts
            .iter()
            .map(|text| Address::new(text.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_hosts_file_gives_every_name_the_addresses_of_its_lines() {
        let names = parse(
            "# a comment\n\
             10.0.0.1\tdb.example db   # the database\n\
             fd00::1 DB.example\n\
             10.0.0.1 db\n\
             not-an-address x.example\n\
             10.0.0.9\n\
             ::ffff:10.0.0.2 mapped.example",
        );
        let rows = [
            ("db.example", Some(addresses(&["10.0.0.1", "fd00::1"]))),
            ("db", Some(addresses(&["10.0.0.1"]))),
            ("mapped.example", Some(addresses(&["10.0.0.2"]))),
            ("x.example", None),
        ];
        for (name, expected) in rows {
            assert_eq!(
                names.get(&Name::parse(name).unwrap()),
                expected.as_ref(),
                "{name}"
            );
        }
    }

    // proves: DNS-11
    #[test]
    fn a_changed_hosts_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let file = HostsFile::new(path.clone());
        let name = Name::parse("db.example").unwrap();
        assert_eq!(file.addresses(&name), None, "there is no file yet");

        std::fs::write(&path, "10.0.0.1 db.example").unwrap();
        assert_eq!(file.addresses(&name), Some(addresses(&["10.0.0.1"])));

        std::fs::write(&path, "10.0.0.2 db.example").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(file.addresses(&name), Some(addresses(&["10.0.0.2"])));
    }
}

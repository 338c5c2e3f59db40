//! `/etc/resolv.conf`, line by line: what cannot be read takes nothing else with it.

use std::net::IpAddr;

use hickory_resolver::system_conf::parse_resolv_conf;
use outport_policy::Name;

/// The content of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// In the order of the file.
    pub(super) servers: Vec<IpAddr>,
    /// Those of the last line that has some.
    pub(super) search: Vec<Name>,
    /// The servers and search domains that cannot be read.
    pub(super) unreadable: Vec<String>,
}

/// Reads the text of a file. The servers are read by the library, whose parser for the whole file gives everything up
/// for one search domain that it takes for unusual.
pub(super) fn read(text: &str) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => match parse_resolv_conf(line) {
                Ok((config, _)) => conf
                    .servers
                    .extend(config.name_servers().iter().map(|server| server.ip)),
                Err(_) => conf.unreadable.push(line.to_owned()),
            },
            Some("search" | "domain") => {
                let domains = words
                    .take_while(|word| !word.starts_with(['#', ';']))
                    // The root, and what some write for no domain at all.
                    .filter(|word| !matches!(*word, "." | "--"));
                conf.search.clear();
                for domain in domains {
                    match Name::parse(domain) {
                        Ok(name) => conf.search.push(name),
                        Err(_) => conf.unreadable.push(domain.to_owned()),
                    }
                }
            }
            _ => {}
        }
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: DNS-11
    #[test]
    fn what_cannot_be_read_takes_nothing_else_with_it() {
        let rows: [(&str, &[&str], &[&str], usize); 8] = [
            ("", &[], &[], 0),
            (
                "nameserver 192.0.2.1\nnameserver 2001:db8::1 # b\n",
                &["192.0.2.1", "2001:db8::1"],
                &[],
                0,
            ),
            (
                "search a.test ex!mple b.test.\nnameserver 192.0.2.1",
                &["192.0.2.1"],
                &["a.test", "b.test"],
                1,
            ),
            ("search -x\nnameserver 192.0.2.1\n", &["192.0.2.1"], &["-x"], 0),
            (
                "nameserver elsewhere\nnameserver 192.0.2.1\n",
                &["192.0.2.1"],
                &[],
                1,
            ),
            (
                "domain a.test\nsearch b.test c.test # d.test\n",
                &[],
                &["b.test", "c.test"],
                0,
            ),
            (
                "# nameserver 192.0.2.1\n;search a.test\nsearch . --\noptions ndots:5\n",
                &[],
                &[],
                0,
            ),
            (
                "what is this\r\nnameserver\t192.0.2.1\r\n",
                &["192.0.2.1"],
                &[],
                0,
            ),
        ];
        for (text, servers, search, unreadable) in rows {
            let conf = read(text);
            let shown: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
            assert_eq!(shown, servers, "{text:?}");
            let shown: Vec<_> = conf.search.iter().map(Name::as_str).collect();
            assert_eq!(shown, search, "{text:?}");
            assert_eq!(
                conf.unreadable.len(),
                unreadable,
                "{text:?} {:?}",
                conf.unreadable
            );
        }
    }
}

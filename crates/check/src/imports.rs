//! Names of imports for a message: those of one package in one piece.
//!
//! An SDK imports all of its platform, whatever of it an app uses: forty interfaces of some ten packages.

/// The imports in the order of their packages, each in backticks: `` `wasi:cli/{exit,stdin}@0.3.0`, `a:b/c` ``.
pub fn list_imports<'i>(imports: impl IntoIterator<Item = &'i str>) -> String {
    let mut packages: Vec<Package<'i>> = Vec::new();
    for import in imports {
        let (name, version) = import.split_once('@').unwrap_or((import, ""));
        let (package, interface) = name.split_once('/').unwrap_or((name, ""));
        match packages
            .iter_mut()
            .find(|known| (known.name, known.version) == (package, version))
        {
            Some(known) => known.interfaces.push(interface),
            None => packages.push(Package {
                name: package,
                version,
                interfaces: vec![interface],
            }),
        }
    }
    let names: Vec<String> = packages.iter().map(Package::shown).collect();
    names.join(", ")
}

/// The number of imports and their packages, the first three of them: `` 23 interfaces of `a:b`, `c:d` and others ``.
/// Those of a platform come first, and of `wasi:` at most a version is not provided: a release candidate is named with
/// it.
pub fn sum_up_imports<'i>(imports: impl IntoIterator<Item = &'i str>) -> String {
    const MOST: usize = 3;
    let mut packages: Vec<(&str, &str)> = Vec::new();
    let mut count = 0;
    for import in imports {
        count += 1;
        let (name, version) = import.split_once('@').unwrap_or((import, ""));
        let package = name.split('/').next().unwrap_or(name);
        let version = if version.contains('-') { version } else { "" };
        if !packages.contains(&(package, version)) {
            packages.push((package, version));
        }
    }
    packages.sort_by_key(|(name, _)| name.starts_with("wasi:"));
    let others = if packages.len() > MOST { " and others" } else { "" };
    let named: Vec<String> = packages
        .iter()
        .take(MOST)
        .map(|(name, version)| {
            if version.is_empty() {
                format!("`{name}`")
            } else {
                format!("`{name}@{version}`")
            }
        })
        .collect();
    let interfaces = if count == 1 { "interface" } else { "interfaces" };
    format!("{count} {interfaces} of {}{others}", named.join(", "))
}

struct Package<'i> {
    name: &'i str,
    /// Empty where there is none.
    version: &'i str,
    /// One that is empty is no interface, but a function of the world.
    interfaces: Vec<&'i str>,
}

impl Package<'_> {
    fn shown(&self) -> String {
        let interfaces = match self.interfaces.as_slice() {
            [""] => String::new(),
            [one] => format!("/{one}"),
            several => format!("/{{{}}}", several.join(",")),
        };
        let at = if self.version.is_empty() { "" } else { "@" };
        format!("`{}{interfaces}{at}{}`", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_interfaces_are_summed_up_by_their_packages() {
        let rows: &[(&[&str], &str)] = &[
            (&["a:b/c@1.0.0"], "1 interface of `a:b`"),
            (&["a:b/c@1.0.0", "a:b/d@2.0.0"], "2 interfaces of `a:b`"),
            (
                &["a:b/c", "d:e/f", "a:b/d", "g:h/i", "j:k/l"],
                "5 interfaces of `a:b`, `d:e`, `g:h` and others",
            ),
            (
                &[
                    "wasi:http/client@0.3.0-rc-2026-03-15",
                    "wasi:http/types@0.3.0-rc-2026-03-15",
                    "wasi:nn/graph@0.2.0",
                    "spin:key-value/key-value@3.0.0",
                ],
                "4 interfaces of `spin:key-value`, `wasi:http@0.3.0-rc-2026-03-15`, `wasi:nn`",
            ),
        ];
        for (imports, expected) in rows {
            assert_eq!(sum_up_imports(imports.iter().copied()), *expected, "{imports:?}");
        }
    }

    #[test]
    fn interfaces_of_one_package_and_version_are_one_name() {
        let rows: &[(&[&str], &str)] = &[
            (&[], ""),
            (&["a:b/c"], "`a:b/c`"),
            (&["a:b/c@1.0.0"], "`a:b/c@1.0.0`"),
            (&["a:b/c@1.0.0", "a:b/d@1.0.0"], "`a:b/{c,d}@1.0.0`"),
            (&["a:b/c@1.0.0", "a:b/c@2.0.0"], "`a:b/c@1.0.0`, `a:b/c@2.0.0`"),
            (
                &["a:b/c@1.0.0", "x:y/z", "a:b/d@1.0.0"],
                "`a:b/{c,d}@1.0.0`, `x:y/z`",
            ),
            (&["function"], "`function`"),
        ];
        for (imports, expected) in rows {
            assert_eq!(list_imports(imports.iter().copied()), *expected, "{imports:?}");
        }
    }
}

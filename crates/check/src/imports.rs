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

//! Expectations of a policy, in a file beside the manifest.
//!
//! ```toml
//! [[test]]
//! component = "web"
//! destination = "tcp://db.example.com:5432"
//! dns = { "db.example.com" = ["10.0.0.5"] }
//! expect = "allow"
//!
//! [[test]]
//! component = "web"
//! destination = "tcp://10.0.0.5:6379"
//! expect = "allow.port"
//! ```
//!
//! `expect` is `allow`, `deny` (whatever the reason), the code of a reason, or `depends` where it is left open what the
//! name resolves to. `component` may be left out where there is only one.

mod words;

use std::collections::BTreeMap;

use outport_manifest::SourceFile;
use outport_policy::{Location, Policy, Reason};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::explain::{Assumption, Explanation, Question, QuestionError, Verdict, explain};
use crate::findings::DeniedNames;
use crate::policy_tests::words::in_words_of_authors;

/// The tests of one file.
#[derive(Debug)]
pub struct PolicyTests {
    source: SourceFile,
    tests: Vec<Test>,
}

#[derive(Debug)]
struct Test {
    component: Option<Spanned<String>>,
    destination: Spanned<()>,
    question: Question,
    assumed: Vec<Assumption>,
    expect: Spanned<String>,
    number: usize,
}

/// The result of one test.
#[derive(Clone, Debug, Serialize)]
pub struct TestResult {
    /// Its number in the file, from 1.
    pub number: usize,
    /// The component.
    pub component: String,
    /// The destination in canonical spelling.
    pub destination: String,
    /// The expected verdict.
    pub expected: String,
    /// The verdict of the policy: `allow`, `depends`, or the code of the reason.
    pub found: String,
    /// True if the two agree.
    pub passed: bool,
}

/// The parts of a file; its rows are read one by one, so that a mistake in one does not hide the others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "test")]
    _test: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    component: Option<Spanned<String>>,
    destination: Spanned<String>,
    #[serde(default)]
    dns: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    expect: Spanned<String>,
}

/// The word for a verdict, expected or found, that the answer to a look-up decides.
const DEPENDS: &str = "depends";

impl PolicyTests {
    /// Reads a file of tests: those that can be read, and what is wrong with the others.
    pub fn parse(source: &SourceFile) -> (Self, Vec<Diagnostic>) {
        let mut this = Self {
            source: source.clone(),
            tests: Vec::new(),
        };
        let file = toml::from_str::<File>(source.text()).and_then(|_| DeTable::parse(source.text()));
        let mut file = match file {
            Ok(file) => file.into_inner(),
            Err(error) => return (this, vec![unreadable(source, &error)]),
        };
        let rows = match file.remove("test").map(Spanned::into_inner) {
            Some(DeValue::Array(rows)) => rows,
            _ => DeArray::default(),
        };
        let mut findings = Vec::new();
        for (index, row) in rows.into_iter().enumerate() {
            let row = Row::deserialize(ValueDeserializer::from(row));
            let row = row.map_err(|error| Box::new(unreadable(source, &error)));
            match row.and_then(|row| this.read(index + 1, row)) {
                Ok(test) => this.tests.push(test),
                Err(finding) => findings.push(*finding),
            }
        }
        (this, findings)
    }

    /// Runs the tests against the policies of the app's components.
    pub fn run(&self, policies: &[Policy], denied_names: DeniedNames) -> (Vec<TestResult>, Vec<Diagnostic>) {
        let mut results = Vec::new();
        let mut findings = Vec::new();
        for test in &self.tests {
            let policy = match self.policy_of(test, policies) {
                Ok(policy) => policy,
                Err(finding) => {
                    findings.push(*finding);
                    continue;
                }
            };
            let explanation = explain(policy, &test.question, &test.assumed, denied_names);
            let result = test.hold_against(policy.component(), &explanation);
            findings.extend((!result.passed).then(|| self.failed(test, &result, &explanation)));
            results.push(result);
        }
        (results, findings)
    }

    /// The component that a test names, or the only one.
    fn policy_of<'p>(&self, test: &Test, policies: &'p [Policy]) -> Result<&'p Policy, Box<Diagnostic>> {
        let wrong = match (&test.component, policies) {
            (None, [only]) => return Ok(only),
            (None, _) => self.wrong(
                &test.destination,
                "the test names none of several components".to_owned(),
            ),
            (Some(id), _) => {
                let own = policies.iter().find(|policy| policy.component() == id.get_ref());
                match own {
                    Some(policy) => return Ok(policy),
                    None => self.wrong(id, format!("there is no component `{}`", id.get_ref())),
                }
            }
        };
        let known: Vec<String> = policies
            .iter()
            .map(|policy| format!("`component = \"{}\"`", policy.component()))
            .collect();
        Err(Box::new(match known.as_slice() {
            [] => wrong.helped_by("the app has no component"),
            known => wrong.helped_by(format!("write {}", known.join(" or "))),
        }))
    }

    fn read(&self, number: usize, row: Row) -> Result<Test, Box<Diagnostic>> {
        let question = row.destination.get_ref().parse();
        let question =
            question.map_err(|error: QuestionError| self.wrong(&row.destination, error.to_string()))?;
        let assumed = row.dns.iter().map(|(name, addresses)| {
            let addresses = addresses.iter().map(|address| address.get_ref().as_str());
            let assumption = Assumption::new(name.get_ref(), addresses);
            assumption.map_err(|error| Box::new(self.wrong(name, error.to_string())))
        });
        let assumed = assumed.collect::<Result<_, _>>()?;
        let known = |text: &str| Reason::ALL.iter().any(|reason| reason.code() == text);
        let words = ["allow", "deny", DEPENDS];
        if !known(row.expect.get_ref()) && !words.contains(&row.expect.get_ref().as_str()) {
            let message = format!("`{}` is nothing that can be expected", row.expect.get_ref());
            let finding = self.wrong(&row.expect, message);
            let help = "write `allow`, `deny`, `depends`, or the code of a reason such as `allow.port`";
            return Err(Box::new(finding.helped_by(help)));
        }
        Ok(Test {
            component: row.component,
            destination: Spanned::new(row.destination.span(), ()),
            question,
            assumed,
            expect: row.expect,
            number,
        })
    }

    fn wrong<T>(&self, at: &Spanned<T>, message: String) -> Diagnostic {
        Diagnostic::new(Code::TestFile, self.location(at), message)
    }

    fn failed(&self, test: &Test, result: &TestResult, explanation: &Explanation) -> Diagnostic {
        let message = format!(
            "`{}` from `{}` was expected to be `{}`, and is `{}`",
            result.destination, result.component, result.expected, result.found
        );
        let finding =
            Diagnostic::new(Code::TestFailed, self.location(&test.expect), message).of(&result.component);
        let expects_more = result.expected == "allow";
        match explanation.remedy.as_ref().filter(|_| expects_more) {
            Some(remedy) => finding.helped_by(remedy),
            None if result.found == DEPENDS => {
                finding.helped_by("say what the name resolves to: `dns = { \"NAME\" = [\"ADDRESS\"] }`")
            }
            None => finding,
        }
    }

    /// Strings without their quotes.
    fn location<T>(&self, at: &Spanned<T>) -> Location {
        let span = at.span();
        let text = self.source.slice(&span);
        let quotes = text.len() >= 2 && text.starts_with(['"', '\'']);
        let inner = if quotes {
            span.start + 1..span.end - 1
        } else {
            span
        };
        self.source.location(&inner)
    }
}

/// A complaint of the TOML reader.
fn unreadable(source: &SourceFile, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let (message, help) = in_words_of_authors(error.message(), source.slice(&span));
    let finding = Diagnostic::new(Code::TestFile, source.location(&span), message);
    match help {
        Some(help) => finding.helped_by(help),
        None => finding,
    }
}

impl Test {
    fn hold_against(&self, component: &str, explanation: &Explanation) -> TestResult {
        let expected = self.expect.get_ref().clone();
        let found = match (explanation.verdict, &explanation.reason) {
            (Verdict::Allowed, _) => "allow".to_owned(),
            (Verdict::Depends, _) => DEPENDS.to_owned(),
            (Verdict::Denied, reason) => reason.clone().unwrap_or_else(|| "deny".to_owned()),
        };
        let passed = match expected.as_str() {
            "deny" => explanation.verdict == Verdict::Denied,
            _ => expected == found,
        };
        TestResult {
            number: self.number,
            component: component.to_owned(),
            destination: self.question.to_string(),
            expected,
            found,
            passed,
        }
    }
}

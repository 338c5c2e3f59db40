//! A dependency that opens a connection.

use outport_e2e::mariadb::MariaDb;
use outport_e2e::outport::Outport;

use super::address;
use crate::models::COMMAND;

/// Its function `ask` opens a connection, and answers 0 if it is one and 1 if it failed.
const ASKER: &str = r#"(component
  IMPORT
  (core module $memory
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (data (i32.const 0) "ADDRESS")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      global.get $free
      (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $open (canon lower (func $mysql "[static]connection.open") (memory $mem) (realloc $realloc)))
  (core module $ask
    (import "host" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (func (export "ask") (result i32)
      (call $open (i32.const 0) (i32.const LENGTH) (i32.const 512))
      (if (result i32) (i32.load8_u (i32.const 512))
        (then (i32.add (i32.const 1) (i32.load8_u (i32.const 516))))
        (else (i32.const 0)))))
  (core instance $ask (instantiate $ask (with "host" (instance
    (export "memory" (memory $mem)) (export "open" (func $open))))))
  (func $ask (result u32) (canon lift (core func $ask "ask")))
  (instance $exported (export "ask" (func $ask)))
  (export "outport:test/asker@1.0.0" (instance $exported)))"#;

const ERROR: &str = r#"(variant (case "connection-failed" string) (case "bad-parameter" string)
    (case "query-failed" string) (case "value-conversion-failed" string) (case "other" string))"#;

const IMPORT: &str = r#"(import "fermyon:spin/rdbms-types@2.0.0" (instance $types
    (type $of-error ERROR)
    (export "error" (type (eq $of-error)))))
  (alias export $types "error" (type $error))
  (import "fermyon:spin/mysql@2.0.0" (instance $mysql
    (alias outer 1 $error (type $of-others))
    (export "error" (type $error (eq $of-others)))
    (export "connection" (type $connection (sub resource)))
    (export "[static]connection.open" (func (param "address" string)
      (result (result (own $connection) (error $error)))))))"#;

// proves: HI-5
#[test]
fn a_dependency_reaches_the_server_of_its_component_only_if_it_inherits_that() {
    let server = MariaDb::start();
    let address = address(&server);
    let wasm = |text: &str| wat::parse_str(text).expect("a component of our own");
    let inherits = ", inherit_configuration = [\"allowed_outbound_hosts\"]";
    for (inheritance, answer, reason) in [
        ("", "1", "allow.not-inherited"),
        (
            ", inherit_configuration = [\"ai_models\"]",
            "1",
            "allow.not-inherited",
        ),
        (inherits, "0", ""),
    ] {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"mysql\"\n\
             [[trigger.command]]\ncomponent = \"main\"\n\
             [component.main]\nsource = \"command.wasm\"\nallowed_outbound_hosts = [\"mysql://localhost:*\"]\n\
             [component.main.dependencies]\n\
             \"outport:test/asker@1.0.0\" = {{ path = \"asker.wasm\"{inheritance} }}\n"
        );
        let asker = ASKER
            .replace("IMPORT", &IMPORT.replace("ERROR", ERROR))
            .replace("ADDRESS", &address)
            .replace("LENGTH", &address.len().to_string());
        let finished = Outport::up(&manifest)
            .file("command.wasm", wasm(&COMMAND.replace("ANSWER", answer)))
            .file("asker.wasm", wasm(&asker))
            .finish()
            .expect_code(0);
        let log = finished.audit.iter();
        let of_mysql: Vec<String> = log
            .filter(|line| line.field("attempt") == "mysql.connect")
            .map(|line| line.reason())
            .collect();
        assert_eq!(of_mysql, [reason], "{inheritance}\n{finished}");
    }
}

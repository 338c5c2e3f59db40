use outport_e2e::python;
#[test]
fn x() {
    eprintln!(
        "{:?}",
        python::component("clients", &["redis==8.1.0", "pg8000==1.31.5"])
    );
}

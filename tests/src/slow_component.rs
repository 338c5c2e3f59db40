//! Components that are small and take long to compile.
//!
//! One function of nested loops, each of which changes many locals and may begin again from any other: whatever is in
//! a local may come from everywhere, and the compiler follows all of it.

/// A component of a few KB. With 500 loops and 500 locals it takes more than half a minute; with 2000 and 1000, more
/// than 2 GiB.
pub fn slow_component(loops: u32, locals: u32) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(1, &module(loops, locals), &mut component);
    component
}

fn module(loops: u32, locals: u32) -> Vec<u8> {
    let mut body = vec![1];
    number(locals, &mut body);
    body.push(I32);
    body.extend((0..loops).flat_map(|_| [LOOP, NO_RESULT]));
    for round in 0..loops {
        for step in [2 * round, 2 * round + 1] {
            let (one, other) = (step % locals + 1, (step % locals + 1) * 7 % locals + 1);
            for (instruction, local) in [(LOCAL_GET, one), (LOCAL_GET, other)] {
                body.push(instruction);
                number(local, &mut body);
            }
            body.extend([I32_ADD, LOCAL_SET]);
            number(one, &mut body);
        }
        body.extend([LOCAL_GET, 0, BRANCH_IF]);
        number(round * 13 % (loops - round), &mut body);
        body.push(END);
    }
    body.extend([LOCAL_GET, 0, END]);

    let mut code = vec![1];
    number(u32::try_from(body.len()).expect("it is small"), &mut code);
    code.extend(body);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(1, &[1, 0x60, 1, I32, 1, I32], &mut module);
    section(3, &[1, 0], &mut module);
    section(10, &code, &mut module);
    module
}

fn section(id: u8, content: &[u8], to: &mut Vec<u8>) {
    to.push(id);
    number(u32::try_from(content.len()).expect("it is small"), to);
    to.extend_from_slice(content);
}

/// In LEB128.
fn number(mut number: u32, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

const I32: u8 = 0x7f;
const NO_RESULT: u8 = 0x40;
const LOOP: u8 = 0x03;
const END: u8 = 0x0b;
const BRANCH_IF: u8 = 0x0d;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const I32_ADD: u8 = 0x6a;

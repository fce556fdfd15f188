//! Any text compiles and runs, or is refused; the state stays usable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{Protocol, writer::Writer};
use scripting::host::{Host, Verdict};
use scripting::vm::{Engine, Vm};

struct Brief(u32);

impl Host for Brief {
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) {
        Writer::new(out, protocol).bulk(argv[argv.len() - 1]);
    }

    fn interval(&mut self) -> Verdict {
        self.0 += 1;
        if self.0 > 3 { Verdict::Stop("ERR stopped") } else { Verdict::Continue }
    }
}

fuzz_target!(|text: &[u8]| {
    let mut vm = Vm::<Brief>::new(Engine::Scripts).expect("there is memory");
    let mut out = Vec::new();
    for text in [text, b"return 1"] {
        out.clear();
        if let Ok(script) = vm.compile(text) {
            let mut writer = Writer::new(&mut out, Protocol::Resp3);
            let _ = vm.run_script(&script, "sha", &[b"key"], &[text], &mut Brief(0), &mut writer);
        }
    }
    assert_eq!(out, b":1\r\n");
});

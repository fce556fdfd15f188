//! Any input of a library's decoder is decoded or refused; what was decoded is encoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{Protocol, writer::Writer};
use scripting::host::{Host, Verdict};
use scripting::vm::{Engine, Script, Vm};

struct Brief(u32);

impl Host for Brief {
    fn call(&mut self, _: &[&[u8]], _: Protocol, _: &mut Vec<u8>) {}

    fn interval(&mut self) -> Verdict {
        self.0 += 1;
        if self.0 > 3 { Verdict::Stop("ERR stopped") } else { Verdict::Continue }
    }
}

const BODIES: [&str; 4] = [
    "local ok, v = pcall(cjson.decode, ARGV[1]) if ok then pcall(cjson.encode, v) end return 1",
    "local ok, v = pcall(cmsgpack.unpack, ARGV[1]) if ok then cmsgpack.pack(v) end return 1",
    "pcall(struct.unpack, ARGV[1], ARGV[2]) pcall(struct.size, ARGV[1]) pcall(struct.pack, ARGV[1], 1, 'a', 2.5) return 1",
    "pcall(cmsgpack.unpack_limit, ARGV[1], #ARGV[2], 1) return 1",
];

thread_local! {
    static VM: (Vm<Brief>, Vec<Script>) = {
        let mut vm = Vm::new(Engine::Scripts).expect("there is memory");
        let scripts = BODIES.iter().map(|body| vm.compile(body.as_bytes()).expect("it compiles")).collect();
        (vm, scripts)
    };
}

fuzz_target!(|input: (&[u8], &[u8])| {
    VM.with(|(vm, scripts)| {
        for script in scripts {
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, Protocol::Resp2);
            let _ = vm.run_script(script, "sha", &[], &[input.0, input.1], &mut Brief(0), &mut writer);
        }
    });
});

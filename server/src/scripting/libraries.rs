//! Libraries of functions: adding them, one or many at once, and removing them.

use engine::error::CommandError;
use scripting::functions::{BAD_NAME, Library, is_name};
use scripting::host::Replication;
use scripting::shebang::{self, Flags as ScriptFlags};
use scripting::vm::{RegisteredFunction, Vm};

use super::{Kind, Running};
use crate::bio::Garbage;
use crate::server::Server;
use crate::session::ClientId;

/// What FUNCTION RESTORE does with the libraries that are there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Removes all of them.
    Flush,
    /// Keeps them; none may have the name of a new one.
    Append,
    /// Those of the same name are replaced.
    Replace,
}

/// Nobody's client: a library that loads runs no commands.
const NOBODY: ClientId = ClientId { id: 0, slot: u32::MAX };

/// A library that is loaded and not yet there.
struct Staged {
    name: Vec<u8>,
    code: Vec<u8>,
    functions: Vec<RegisteredFunction>,
}

impl Server {
    /// Adds a library; returns its name.
    ///
    /// # Errors
    /// The reply. Nothing is changed then.
    pub fn load_library(&mut self, code: &[u8], replace: bool) -> Result<Vec<u8>, CommandError> {
        let name = check_head(code)?.to_vec();
        if self.scripting.libraries.get(&name).is_some() && !replace {
            return Err(CommandError::owned(format!(
                "ERR Library '{}' already exists",
                String::from_utf8_lossy(&name)
            )));
        }
        self.add_libraries(&[code], if replace { Policy::Replace } else { Policy::Append })?;
        Ok(name)
    }

    /// Adds the libraries of a payload.
    ///
    /// # Errors
    /// The reply. Nothing is changed then.
    pub fn restore_libraries(&mut self, codes: &[Vec<u8>], policy: Policy) -> Result<(), CommandError> {
        if policy == Policy::Append {
            for code in codes {
                let name = check_head(code)?;
                if self.scripting.libraries.get(&name).is_some() {
                    let text = format!("ERR Library {} already exists", String::from_utf8_lossy(&name));
                    return Err(CommandError::owned(text));
                }
            }
        }
        let codes: Vec<&[u8]> = codes.iter().map(Vec::as_slice).collect();
        self.add_libraries(&codes, policy)
    }

    fn add_libraries(&mut self, codes: &[&[u8]], policy: Policy) -> Result<(), CommandError> {
        let mut vm = self.take_interpreter(Kind::Library)?;
        let mut staged = Vec::new();
        let result = self.stage(&mut vm, codes, policy, &mut staged);
        if result.is_err() {
            for function in staged.into_iter().flat_map(|staged: Staged| staged.functions) {
                vm.forget(function.script);
            }
        } else {
            if policy == Policy::Flush {
                let all = std::mem::take(&mut self.scripting.libraries);
                all.into_libraries().for_each(|library| forget(&mut vm, library));
            }
            for Staged { name, code, functions } in staged {
                if let Some(before) = self.scripting.libraries.insert(name, code, functions) {
                    forget(&mut vm, before);
                }
            }
        }
        self.give_interpreter(Kind::Library, vm);
        result
    }

    /// Loads libraries and checks that their functions do not collide, with each other or with those that stay.
    fn stage(
        &mut self,
        vm: &mut Vm<Server>,
        codes: &[&[u8]],
        policy: Policy,
        staged: &mut Vec<Staged>,
    ) -> Result<(), CommandError> {
        for code in codes {
            let name = check_head(code)?;
            let (_, _, body) = shebang::parse_library(code).map_err(text_error)?;
            let functions = self.run_library(vm, &name, body)?;
            staged.push(Staged { name, code: code.to_vec(), functions });
        }
        let mut seen = std::collections::HashSet::new();
        for new in &*staged {
            for function in &new.functions {
                let folded = function.name.to_ascii_lowercase();
                let holder = self.scripting.libraries.library_of(&folded).filter(|holder| {
                    let goes = policy == Policy::Flush || staged.iter().any(|other| other.name == *holder);
                    !goes
                });
                if holder.is_some() || !seen.insert(folded) {
                    let name = String::from_utf8_lossy(&function.name);
                    return Err(CommandError::owned(format!("ERR Function {name} already exists")));
                }
            }
        }
        Ok(())
    }

    /// Runs the top level of a library.
    fn run_library(
        &mut self,
        vm: &mut Vm<Server>,
        name: &[u8],
        body: &[u8],
    ) -> Result<Vec<RegisteredFunction>, CommandError> {
        self.scripting.running = Some(Running {
            kind: Kind::Library,
            client: NOBODY,
            name: name.into(),
            flags: ScriptFlags::empty(),
            read_only: true,
            full: false,
            since: self.clock.stamp(),
            wrote: false,
            killed: false,
            busy: false,
            replication: Replication::empty(),
        });
        let loaded = vm.load_library(body, self);
        self.scripting.running = None;
        loaded.map_err(|error| text_error(error.text))
    }

    /// Removes a library.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn delete_library(&mut self, name: &[u8]) -> Result<(), CommandError> {
        let mut vm = self.take_interpreter(Kind::Function)?;
        let library = self.scripting.libraries.remove(name);
        let found = library.map(|library| forget(&mut vm, library));
        self.give_interpreter(Kind::Function, vm);
        found.ok_or(CommandError::Text("ERR Library not found"))
    }

    /// Removes all libraries, and the interpreter with them; `later`: they are freed on the background thread.
    ///
    /// # Errors
    /// When a script runs.
    pub fn flush_functions(&mut self, later: bool) -> Result<(), CommandError> {
        let vm = self.retire_interpreter(Kind::Function)?;
        let libraries = std::mem::take(&mut self.scripting.libraries);
        if later {
            self.bio.free(Garbage::Libraries(Box::new(libraries), vm));
        }
        Ok(())
    }
}

/// The name of a library, if its first line is a good one.
fn check_head(code: &[u8]) -> Result<Vec<u8>, CommandError> {
    let (engine, name, _) = shebang::parse_library(code).map_err(text_error)?;
    if !is_name(&name) {
        return Err(CommandError::owned(format!("ERR {BAD_NAME}")));
    }
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(CommandError::owned(format!("ERR Engine '{}' not found", String::from_utf8_lossy(engine))));
    }
    Ok(name)
}

fn text_error(text: Vec<u8>) -> CommandError {
    CommandError::owned(String::from_utf8_lossy(&text))
}

fn forget(vm: &mut Vm<Server>, library: Library) {
    library.functions.into_iter().for_each(|function| vm.forget(function.script));
}

//! Files and sockets: linked so that a component can start, and never there when it calls them.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType, Val};

use crate::imports::{Answered, allowed};
use crate::state::{State, Stop};

/// Stands for every resource of the denied interfaces. None is ever made.
struct Denied;

/// Resources that belong to `wasi:io` and are only mentioned by the denied interfaces.
const MENTIONED: [&str; 4] = ["error", "pollable", "input-stream", "output-stream"];

/// Links a denial for each function of each denied interface that the component imports.
pub(super) fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        let is_denied = allowed(name).is_some_and(|entry| entry.answered == Answered::Denied);
        if let (true, ComponentItem::ComponentInstance(interface)) = (is_denied, item.ty) {
            let mut instance = linker.instance(name)?;
            for (member, item) in interface.exports(&engine) {
                deny(&mut instance, name, member, &item.ty)?;
            }
        }
    }
    Ok(())
}

fn deny(
    instance: &mut LinkerInstance<'_, State>,
    interface: &str,
    member: &str,
    item: &ComponentItem,
) -> wasmtime::Result<()> {
    match item {
        // Runtimes ask for the directories when they start; there are none.
        ComponentItem::ComponentFunc(_) if member == "get-directories" => {
            instance.func_new(member, |_, _, _, results| {
                results[0] = Val::List(Vec::new());
                Ok(())
            })
        }
        ComponentItem::ComponentFunc(_) => {
            let text = format!("it called `{interface}#{member}`, which no provisioner may use");
            instance.func_new(member, move |_, _, _, _| Err(Stop::Broke(text.clone()).into()))
        }
        ComponentItem::Resource(_) if !MENTIONED.contains(&member) => {
            instance.resource(member, ResourceType::host::<Denied>(), |_, _| Ok(()))
        }
        _ => Ok(()),
    }
}

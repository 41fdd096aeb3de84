//! `ss graph`: the system as a diagram.

use ss_core::graph;

use crate::args::Graph;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::graph as render;

/// Prints a diagram.
pub fn run(context: &Context, command: &Graph) -> Result<Exit, CommandError> {
    let Graph::Render { environment, services, format } = command;
    if !services {
        return Err(CommandError::usage("say what to draw: `ss graph render --services`"));
    }
    let project = match &environment.env {
        Some(env) => Project::open(context, Some(env))?,
        None => Project::open_base(context)?,
    };
    let config = project.config()?;
    let order = graph::order(&config).map_err(|problems| project.invalid(problems))?;
    let drawing = render::Drawing::of(&config, &order);
    if context.json {
        println!("{}", drawing.json());
    } else {
        print!("{}", drawing.text(*format));
    }
    Ok(Exit::Ok)
}

//! The services as a diagram: Mermaid, Graphviz' dot, or a picture.
//!
//! An arrow goes from a service to what it stands on, and names what is injected that way.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use ss_core::config::Config;
use ss_core::ident::ServiceId;
use ss_core::text::printable;

use crate::args::GraphFormat;

const TEXT_MAX: usize = 80;

/// What is drawn.
pub struct Drawing {
    boxes: Vec<Box>,
    arrows: Vec<Arrow>,
}

struct Box {
    id: String,
    /// `database · neon`.
    about: String,
    kind: String,
    target: Option<String>,
    /// How many services it stands on, one above the other.
    level: usize,
}

struct Arrow {
    from: usize,
    to: usize,
    injects: Vec<String>,
}

impl Drawing {
    /// The services in order, each after what it stands on.
    pub fn of(config: &Config, order: &[ServiceId]) -> Self {
        let places: BTreeMap<&ServiceId, usize> =
            order.iter().enumerate().map(|(place, id)| (id, place)).collect();
        let mut drawing = Self { boxes: Vec::new(), arrows: Vec::new() };
        for (place, id) in order.iter().enumerate() {
            let Some(service) = config.services.get(id) else { continue };
            let mut level = 0;
            for dependency in &service.depends_on {
                let Some(&to) = places.get(&dependency.value) else { continue };
                level = level.max(drawing.boxes[to].level + 1);
                let injected = service.inject_from.iter().map(|input| &input.value);
                let injected = injected.filter(|input| input.source == dependency.value);
                let injects = injected.map(|input| printable(&input.name, TEXT_MAX)).collect();
                drawing.arrows.push(Arrow { from: place, to, injects });
            }
            let kind = printable(&service.kind, TEXT_MAX);
            let target =
                service.target.as_ref().map(|target| printable(&target.kind.value, TEXT_MAX));
            let about = match &target {
                Some(target) => format!("{kind} · {target}"),
                None => kind.clone(),
            };
            drawing.boxes.push(Box { id: id.to_string(), about, kind, target, level });
        }
        drawing
    }

    /// The diagram as text.
    pub fn text(&self, format: GraphFormat) -> String {
        match format {
            GraphFormat::Mermaid => self.mermaid(),
            GraphFormat::Dot => self.dot(),
            GraphFormat::Svg => self.svg(),
        }
    }

    /// The diagram as data.
    pub fn json(&self) -> Value {
        let services: Vec<Value> = self
            .boxes
            .iter()
            .map(|one| json!({"service": one.id, "type": one.kind, "target": one.target}))
            .collect();
        let edges: Vec<Value> = self
            .arrows
            .iter()
            .map(|arrow| {
                json!({"from": self.boxes[arrow.from].id, "to": self.boxes[arrow.to].id, "injects": arrow.injects})
            })
            .collect();
        json!({"version": 1, "kind": "graph", "services": services, "edges": edges})
    }

    fn mermaid(&self) -> String {
        // Names of the diagram's own: a service may be called `end` or `graph`.
        let mut out = String::from("flowchart TD\n");
        for (place, one) in self.boxes.iter().enumerate() {
            let (id, about) = (mermaid_text(&one.id), mermaid_text(&one.about));
            out.push_str(&format!("  s{place}[\"{id}<br/>{about}\"]\n"));
        }
        for arrow in &self.arrows {
            let label = match arrow.injects.is_empty() {
                true => String::new(),
                false => format!("|\"{}\"|", mermaid_text(&arrow.injects.join(", "))),
            };
            out.push_str(&format!("  s{} -->{label} s{}\n", arrow.from, arrow.to));
        }
        out
    }

    fn dot(&self) -> String {
        let mut out = String::from("digraph services {\n  node [shape=box];\n");
        for one in &self.boxes {
            let (id, about) = (dot_text(&one.id), dot_text(&one.about));
            out.push_str(&format!("  \"{id}\" [label=\"{id}\\n{about}\"];\n"));
        }
        for arrow in &self.arrows {
            let (from, to) = (&self.boxes[arrow.from].id, &self.boxes[arrow.to].id);
            let label = dot_text(&arrow.injects.join(", "));
            out.push_str(&format!(
                "  \"{}\" -> \"{}\" [label=\"{label}\"];\n",
                dot_text(from),
                dot_text(to)
            ));
        }
        out.push_str("}\n");
        out
    }

    fn svg(&self) -> String {
        let places = self.places();
        let right = places.iter().map(|place| place.0).max().unwrap_or(0) + WIDTH + MARGIN;
        let bottom = places.iter().map(|place| place.1).max().unwrap_or(0) + HEIGHT + MARGIN;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n\
             <defs><marker id=\"tip\" markerWidth=\"9\" markerHeight=\"9\" refX=\"8\" refY=\"4\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>\n"
        );
        for arrow in &self.arrows {
            let ((fx, fy), (tx, ty)) = (places[arrow.from], places[arrow.to]);
            let (x1, y1, x2, y2) = (fx + WIDTH / 2, fy + HEIGHT, tx + WIDTH / 2, ty);
            out.push_str(&format!(
                "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#555\" marker-end=\"url(#tip)\"/>\n"
            ));
            if !arrow.injects.is_empty() {
                let (x, y) = (usize::midpoint(x1, x2), usize::midpoint(y1, y2));
                let label = xml_text(&arrow.injects.join(", "));
                out.push_str(&format!(
                    "<text x=\"{x}\" y=\"{y}\" font-size=\"11\">{label}</text>\n"
                ));
            }
        }
        for (one, (x, y)) in self.boxes.iter().zip(&places) {
            let middle = x + WIDTH / 2;
            out.push_str(&format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#eef3fb\" stroke=\"#3b6ea8\"/>\n\
                 <text x=\"{middle}\" y=\"{}\" font-weight=\"bold\">{}</text>\n<text x=\"{middle}\" y=\"{}\">{}</text>\n",
                y + 20,
                xml_text(&one.id),
                y + 38,
                xml_text(&one.about)
            ));
        }
        out.push_str("</svg>\n");
        out
    }

    /// Left upper corners: what stands on nothing is lowest, as in the other formats.
    fn places(&self) -> Vec<(usize, usize)> {
        let top = self.boxes.iter().map(|one| one.level).max().unwrap_or(0);
        let mut filled: BTreeMap<usize, usize> = BTreeMap::new();
        let place = |one: &Box| {
            let column = filled.entry(one.level).or_default();
            let x = MARGIN + *column * (WIDTH + GAP);
            *column += 1;
            (x, MARGIN + (top - one.level) * (HEIGHT + GAP))
        };
        self.boxes.iter().map(place).collect()
    }
}

const WIDTH: usize = 190;
const HEIGHT: usize = 50;
const GAP: usize = 60;
const MARGIN: usize = 20;

/// Mermaid's own entities: everything that could end a label or begin markup.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | ';' | '\\' | '{' | '}' | '|' | '%' => {
                out.push_str(&format!("#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

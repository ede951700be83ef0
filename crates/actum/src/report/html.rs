//! A report as a page.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::{Cell, Chart, Part, Raster, Report, Section, Table, scene::Scene};

const PAGE: &str = include_str!("page.html");
const MOVING: &str = include_str!("moving.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: [&str; 4] = [
    include_str!("page.js"),
    include_str!("scene.js"),
    include_str!("picture.js"),
    include_str!("controls.js"),
];

impl Report {
    /// The page, complete in itself.
    pub fn html(&self) -> String {
        page(self, None)
    }

    /// The page, which asks the server that it came from how a fit goes.
    pub fn following(&self, progress: &super::Progress) -> String {
        page(self, Some(&progress.html()))
    }
}

/// Fills in a template. Each place is filled once, from the left, so that a text with braces in it
/// stays a text.
fn filled(template: &str, parts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a template of this library");
        let part = parts.iter().find(|(known, _)| *known == name);
        page += before;
        page += part.expect("a part for each place of a template").1;
        rest = after;
    }
    page + rest
}

fn page(report: &Report, progress: Option<&str>) -> String {
    let [page, scene, picture, controls] = SCRIPT;
    let script =
        format!("\"use strict\";\n{page}\n(() => {{\n{scene}\n{picture}\n{controls}}})();\n");
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    let connect = match progress {
        Some(_) => " connect-src 'self';",
        None => "",
    };
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src \
         data:;{connect} base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(STYLE)
    );
    let mut body = String::new();
    if let Some(progress) = progress {
        let _ = write!(
            body,
            "<section aria-labelledby=\"progress-title\"><h2 id=\"progress-title\">The fit</h2>\
             <div id=\"progress\">{progress}</div></section>"
        );
    }
    let mut drawn = 0;
    let mut data = String::new();
    if let Some(scene) = &report.scene {
        body += &moving(scene, &mut drawn);
        let _ = write!(
            data,
            "<script type=\"application/json\" id=\"scene\">{}</script>\n\
             <script type=\"text/plain\" id=\"points\">{}</script>",
            inert(&serde_json::to_string(&scene.seen).expect("a scene is plain data")),
            BASE64_STANDARD.encode(scene.bytes())
        );
    }
    for (i, section) in report.sections.iter().enumerate() {
        body += &of_section(section, i, &mut drawn);
    }
    let contents = match report.sections.len() {
        0 => String::new(),
        _ => {
            let each = report.sections.iter().enumerate();
            let each = each.map(|(i, section)| {
                format!(
                    "<li><a href=\"#part{i}\">{}</a></li>",
                    escape(&section.title)
                )
            });
            let motion = report
                .scene
                .as_ref()
                .map(|_| "<li><a href=\"#motion\">The motion</a></li>");
            let items: String = motion.map(str::to_owned).into_iter().chain(each).collect();
            format!("<nav aria-label=\"Contents\"><ul>{items}</ul></nav>")
        }
    };
    let summary = match report.summary.is_empty() {
        true => String::new(),
        false => list("summary", &report.summary),
    };
    filled(
        PAGE,
        &[
            (
                "follows",
                if progress.is_some() {
                    " data-follows=\"yes\""
                } else {
                    ""
                },
            ),
            ("policy", &policy),
            ("title", &escape(&report.title)),
            ("style", STYLE),
            ("about", &escape(&report.about)),
            ("summary", &summary),
            ("contents", &contents),
            ("body", &body),
            ("version", &escape(&report.version)),
            ("data", &data),
            ("script", &script),
        ],
    )
}

fn list(class: &str, items: &[String]) -> String {
    let items = items
        .iter()
        .map(|item| format!("<li>{}</li>", escape(item)));
    format!("<ul class=\"{class}\">{}</ul>", items.collect::<String>())
}

/// The section of the moving picture, whose place a drawing has where nothing can move.
fn moving(scene: &Scene, drawn: &mut usize) -> String {
    let still = scene.still.iter().map(|chart| of_chart(chart, drawn));
    let still: String = still.collect();
    let colours = scene.ways_to_colour();
    let colours = colours
        .iter()
        .map(|(value, name)| format!("<option value=\"{value}\">{}</option>", escape(name)));
    filled(
        MOVING,
        &[
            ("described", &escape(&scene.described)),
            ("colours", &colours.collect::<String>()),
            ("still", &still),
            ("note", &escape(&scene.note)),
        ],
    )
}

fn of_section(section: &Section, at: usize, drawn: &mut usize) -> String {
    let mut body = format!(
        "<section id=\"part{at}\" aria-labelledby=\"title{at}\"><h2 id=\"title{at}\">{}</h2>\n",
        escape(&section.title)
    );
    body += &of_each(&section.parts, drawn);
    body + "</section>\n"
}

/// Parts one below the other.
fn of_each(parts: &[Part], drawn: &mut usize) -> String {
    let mut body = String::new();
    for part in parts {
        body += &match part {
            Part::Text(text) => format!("<p>{}</p>", escape(text)),
            Part::List(items) => list("notes", items),
            Part::Table(table) => of_table(table),
            Part::Chart(chart) => of_chart(chart, drawn),
            Part::Code { title, text, file } => of_code(title, text, file.as_deref()),
            Part::Image(raster) => of_raster(raster, ""),
            Part::Compare {
                title,
                before,
                after,
            } => format!(
                "<div class=\"compare\"><h3>{0}</h3><div class=\"pair\">{1}{2}</div>\
                 <input type=\"range\" min=\"0\" max=\"100\" value=\"50\" aria-label=\"{0}\">\
                 <p class=\"note\">Left of the slider: {3}; right of it: {4}.</p></div>",
                escape(title),
                of_raster(before, ""),
                of_raster(after, "over"),
                escape(&after.about),
                escape(&before.about)
            ),
        };
        body.push('\n');
    }
    body
}

/// Parts that replace others in a page whose drawings are numbered from 0.
pub(super) fn of_parts(parts: &[Part]) -> String {
    of_each(parts, &mut 10_000)
}

/// Files inside of the page, which need no script.
fn file(name: &str, kind: &str, said: &str, text: &str) -> String {
    format!(
        "<a download=\"{}\" href=\"data:{kind};base64,{}\">{}</a>",
        escape(name),
        BASE64_STANDARD.encode(text),
        escape(said)
    )
}

/// A name for a file made of a title.
fn file_name(title: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = title.chars().map(plain).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    match name.is_empty() {
        true => "table".to_owned(),
        false => name.chars().take(60).collect(),
    }
}

fn of_table(table: &Table) -> String {
    let texts: Vec<bool> = (0..table.columns.len())
        .map(|j| table.rows.iter().any(|row| matches!(row[j], Cell::Text(_))))
        .collect();
    let class = |j: usize| if texts[j] { " class=\"text\"" } else { "" };
    let mut body = format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\
         <caption>{0}</caption><thead><tr>",
        escape(&table.title)
    );
    for (j, name) in table.columns.iter().enumerate() {
        let _ = write!(body, "<th scope=\"col\"{}>{}</th>", class(j), escape(name));
    }
    body += "</tr></thead><tbody>";
    for (i, row) in table.rows.iter().enumerate() {
        body += match table.result == Some(i) {
            true => "<tr class=\"result\">",
            false => "<tr>",
        };
        for (j, cell) in row.iter().enumerate() {
            let shown = escape(&cell.shown());
            let _ = match (j, cell) {
                (0, Cell::Text(_)) => write!(body, "<th scope=\"row\">{shown}</th>"),
                _ => write!(body, "<td{}>{shown}</td>", class(j)),
            };
        }
        body += "</tr>";
    }
    body += "</tbody></table></div>";
    let name = file_name(&table.title);
    let _ = write!(
        body,
        "<p class=\"files\">{} {}</p>",
        file(
            &format!("{name}.tsv"),
            "text/tab-separated-values",
            "TSV",
            &table.tsv()
        ),
        file(
            &format!("{name}.json"),
            "application/json",
            "JSON",
            &table.json()
        )
    );
    match table.folded {
        true => format!(
            "<details><summary>{}</summary>{body}</details>",
            escape(&table.title)
        ),
        false => body,
    }
}

fn of_code(title: &str, text: &str, name: Option<&str>) -> String {
    let file = name.map(|name| file(name, "text/plain", name, text));
    let file = file.map_or(String::new(), |file| {
        format!("<p class=\"files\">{file}</p>")
    });
    format!(
        "<h3>{}</h3><pre><code>{}</code></pre>{file}",
        escape(title),
        escape(text)
    )
}

fn of_chart(chart: &Chart, drawn: &mut usize) -> String {
    *drawn += 1;
    let about = escape(&chart.about);
    format!(
        "<figure class=\"chart\">{}<figcaption>{about}</figcaption></figure>",
        apart(&chart.svg, *drawn).replacen(
            "<svg ",
            &format!("<svg role=\"img\" aria-label=\"{about}\" "),
            1
        )
    )
}

/// A drawing whose names of parts differ from those of the others of the page: all share one space
/// of names there. In texts `<` and `>` are escaped, so what stands between them is a tag.
fn apart(svg: &str, number: usize) -> String {
    let own = format!("d{number}-");
    let pieces = svg.split_inclusive('>').map(|piece| {
        let (text, tag) = piece.split_at(piece.find('<').unwrap_or(piece.len()));
        let tag = tag
            .replace("id=\"", &format!("id=\"{own}"))
            .replace("url(#", &format!("url(#{own}"))
            .replace("href=\"#", &format!("href=\"#{own}"));
        let tag = ["fill", "stroke"]
            .iter()
            .fold(tag, |tag, of| by_name(&tag, of));
        text.to_owned() + &tag
    });
    pieces.collect()
}

/// Colours by names made of their numbers, so that a dark page can have others in their place.
fn by_name(tag: &str, attribute: &str) -> String {
    let given = format!(" {attribute}=\"#");
    let mut pieces = tag.split(&given);
    let mut named = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (colour, rest) = piece.split_once('"').unwrap_or((piece, ""));
        let _ = write!(named, " {attribute}=\"var(--{colour}, #{colour})\"{rest}");
    }
    named
}

fn of_raster(raster: &Raster, class: &str) -> String {
    let about = escape(&raster.about);
    format!(
        "<figure class=\"{class}\">\
         <img class=\"grid\" alt=\"{about}\" src=\"data:image/png;base64,{}\">\
         <figcaption>{about}</figcaption></figure>",
        BASE64_STANDARD.encode(&raster.png)
    )
}

/// Text in HTML, also between quotation marks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no such characters.
            c if c.is_control() && !c.is_ascii_whitespace() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// JSON in a script that is not run: no `<` can end it.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_from_the_left_once() {
        let page = filled("a {{x}} b {{y}}", &[("x", "{{y}}"), ("y", "2")]);
        assert_eq!(page, "a {{y}} b 2");
    }

    #[test]
    fn names_in_drawings_are_apart_and_texts_stay() {
        let svg = "<svg><clipPath id=\"area1\"/><g fill=\"#fff000\" clip-path=\"url(#area1)\"><text>id=\"x\" fill=\"#1\" url(#y)</text></g><use href=\"#a\"/></svg>";
        let own = apart(svg, 7);
        assert_eq!(
            own,
            "<svg><clipPath id=\"d7-area1\"/><g fill=\"var(--fff000, #fff000)\" clip-path=\"url(#d7-area1)\"><text>id=\"x\" fill=\"#1\" url(#y)</text></g><use href=\"#d7-a\"/></svg>"
        );
    }

    #[test]
    fn texts_are_escaped_everywhere() {
        let evil = "</script><script>alert('1')</script>\"&\u{1}";
        let table = Table {
            title: evil.to_owned(),
            columns: vec![evil.to_owned()],
            rows: vec![vec![Cell::text(evil)]],
            result: None,
            folded: true,
        };
        let chart = Chart {
            about: evil.to_owned(),
            svg: "<svg ></svg>".to_owned(),
        };
        let code = Part::Code {
            title: evil.to_owned(),
            text: evil.to_owned(),
            file: Some(evil.to_owned()),
        };
        let parts = vec![
            Part::Text(evil.to_owned()),
            Part::List(vec![evil.to_owned()]),
            Part::Table(table),
            Part::Chart(chart),
            code,
        ];
        let report = Report {
            title: evil.to_owned(),
            about: evil.to_owned(),
            summary: vec![evil.to_owned()],
            scene: None,
            sections: vec![Section {
                title: evil.to_owned(),
                parts,
            }],
            version: evil.to_owned(),
        };
        let page = report.html();
        let scripts = page.match_indices("<script");
        let scripts = scripts.map(|(at, _)| page[at..].chars().take(60).collect::<String>());
        let scripts: Vec<String> = scripts.collect();
        assert_eq!(scripts.len(), 1, "only the script of the page: {scripts:?}");
        assert_eq!(page.matches("</script").count(), 1);
        assert!(!page.contains("alert('1')") && page.contains("alert(&#39;1&#39;)"));
        assert_eq!(inert("[\"</script>\"]"), "[\"\\u003c/script>\"]");
    }

    #[test]
    fn nothing_comes_from_outside() {
        let report = Report {
            title: "a".to_owned(),
            about: String::new(),
            summary: vec![],
            scene: None,
            sections: vec![],
            version: "1".to_owned(),
        };
        let page = report.html();
        for outside in ["http://", "https://", "src=\"//", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        let policy = page
            .split("Content-Security-Policy\" content=\"")
            .nth(1)
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.split('"').next().unwrap().contains("unsafe"));
    }

    #[test]
    fn tables_are_files() {
        let mut table = Table::new("Scores at 1", &["row", "W1"]);
        table
            .rows
            .push(vec![Cell::text("a\tb"), Cell::Number(1.0 / 3.0)]);
        table.rows.push(vec![Cell::text("c"), Cell::Empty]);
        assert_eq!(table.tsv(), "row\tW1\na b\t0.3333333333333333\nc\t\n");
        let page = of_table(&table);
        let link = page
            .split("download=\"scores-at-1.tsv\" href=\"data:text/tab-separated-values;base64,")
            .nth(1);
        let bytes = BASE64_STANDARD
            .decode(link.unwrap().split('"').next().unwrap())
            .unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), table.tsv());
        let json: serde_json::Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!(json["rows"][1][1], serde_json::Value::Null);
    }
}

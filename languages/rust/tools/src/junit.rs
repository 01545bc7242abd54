//! JUnit XML.

pub enum Outcome {
    Passed,
    Failed,
    Error,
    Skipped,
}

pub struct Case {
    pub name: String,
    pub class: String,
    pub file: String,
    pub line: i64,
    pub outcome: Outcome,
    pub message: String,
    pub text: String,
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c < ' ' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

pub fn write(cases: &[Case]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites><testsuite name=\"rust\">\n");
    for one in cases {
        out.push_str(&format!("<testcase name=\"{}\" classname=\"{}\" time=\"0\"", escaped(&one.name), escaped(&one.class)));
        if !one.file.is_empty() {
            out.push_str(&format!(" file=\"{}\" line=\"{}\"", escaped(&one.file), one.line));
        }
        let (message, text) = (escaped(&one.message), escaped(&one.text));
        out.push_str(&match one.outcome {
            Outcome::Passed => "/>\n".into(),
            Outcome::Failed => format!("><failure message=\"{message}\">{text}</failure></testcase>\n"),
            Outcome::Error => format!("><error message=\"{message}\">{text}</error></testcase>\n"),
            Outcome::Skipped => format!("><skipped message=\"{message}\"/></testcase>\n"),
        });
    }
    out.push_str("</testsuite></testsuites>\n");
    out
}

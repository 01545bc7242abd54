use crate::describe::describe;
use crate::lex::lex;
use crate::manifest::parse as toml;
use crate::parse::parse;
use crate::serde::renamed;
use crate::syntax::ItemKind;
use crate::workspace::Source;
use crate::world::World;
use std::path::Path;

#[test]
fn odd_tokens_do_not_confuse_the_reader() {
    let text = r####"
        #![allow(x)]
        /* a /* nested */ comment */
        pub fn quotes<'a>(c: &'a str) -> char { let _ = ('\'', b'"', '"', r#"}"#, "\"}", b"}", 'a'); '}' }
        const RANGE: std::ops::Range<i32> = 0..10;
        macro_rules! make { ($x:ident) => { pub fn $x() {} } }
        make!(hidden);
        extern "C" { fn far(); }
        unsafe impl Send for X {}
        pub fn complex<F>(f: impl Fn(i32) -> Vec<Vec<i32>>, r#type: [u8; { 1 + 2 }]) -> Result<(), Box<dyn Fn() -> i32 + Send>> where F: Fn() -> i32 { }
        pub struct Where<T: Clone = i32, const N: usize = 3>(pub T, #[serde(skip)] i8) where T: Copy;
    "####;
    let names: Vec<String> = parse(text).unwrap().items.into_iter().filter(|item| !matches!(item.kind, ItemKind::Constant { .. })).map(|item| item.name).collect();
    assert_eq!(names, ["quotes", "complex", "Where"]);
}

#[test]
fn what_does_not_parse_is_told_with_its_place() {
    for (text, line, column) in [("fn a() {\n  (]\n}", 2, 4), ("fn a() {", 1, 8), ("fn f(x) {}", 1, 6), ("\nstruct A { x i32 }", 2, 14), ("}", 1, 1), ("fn f() { \"abc }", 1, 10), ("hello world", 1, 1)] {
        let wrong = match parse(text) {
            Err(wrong) => wrong,
            Ok(_) => panic!("{text:?} was read"),
        };
        assert_eq!((wrong.line, wrong.column), (line, column), "{text:?}: {}", wrong.message);
    }
    // Whatever comes, it ends.
    for text in ["'", "r#\"", "b'", "'\\", "#", "pub", "enum E { A =", "fn f<", "use a::{", "type X", "/*", "\u{feff}#!/x", "1e", "é'", "'\\é", "\"\\é", "b\"\\", "r#é", "0x", "1.", "/**/", "/***/", "///", "#[", "#[doc = ", "pub(", "fn f(&mut self", "use *", "const X: &str = \"\\u{\";"] {
        let _ = parse(text);
        let _ = lex(text);
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

#[test]
fn names_are_changed_as_serde_changes_them() {
    for (name, rule, field, wanted) in [("order_id", "camelCase", true, "orderId"), ("order_id", "PascalCase", true, "OrderId"), ("order_id", "kebab-case", true, "order-id"),
        ("order_id", "SCREAMING_SNAKE_CASE", true, "ORDER_ID"), ("order_id", "lowercase", true, "order_id"), ("VeryLoud", "snake_case", false, "very_loud"),
        ("VeryLoud", "camelCase", false, "veryLoud"), ("VeryLoud", "SCREAMING-KEBAB-CASE", false, "VERY-LOUD"), ("VeryLoud", "lowercase", false, "veryloud"), ("HTML", "snake_case", false, "h_t_m_l")] {
        assert_eq!(renamed(name, Some(rule), field), wanted, "{name} {rule}");
    }
}

#[test]
fn manifests_are_read() {
    let read = toml("# x\n[package]\nname = \"a\" # b\n\n[dependencies]\nx.version = \"1\"\ny = { path = '../y', features = [\"a\", # c\n \"b\"] }\n[target.'cfg(unix)'.dependencies]\nz = \"2\"\n[[bin]]\nname = \"q\"\n[[bin]]\nname = \"r\"\n").unwrap();
    assert_eq!(read.at(&["dependencies", "x", "version"]).and_then(|value| value.text()), Some("1"));
    assert_eq!(read.at(&["dependencies", "y"]).unwrap().inline(), "{ \"path\" = \"../y\", \"features\" = [\"a\", \"b\"] }");
    assert_eq!(read.at(&["target", "cfg(unix)", "dependencies", "z"]).and_then(|value| value.text()), Some("2"));
    for text in ["[", "a", "a =", "a = {", "a = [1", "a = \"", "= 1"] {
        assert!(toml(text).is_none(), "{text}");
    }
}

#[test]
fn assistants_are_constants() {
    let mut world = World::new(Path::new("/p"));
    let file = Path::new("/p/assistants/rust/guide.rs");
    world.sources.insert(file.into(), "pub const INSTRUCTIONS: &str = \"Help \\\n    people.\";\npub const FUNCTIONS: &[&str] = &[\"a.b\"];\npub static MAX_STEPS: u32 = 3;\npub const PARAMETERS: &[(&str, f64)] = &[(\"temperature\", 0.5)];\nconst PRIVATE: i32 = 1;\n\
        pub const SOME: Option<i32> = Some(-1);\n\npub fn respond(message: &str) -> String {\n    message.into()\n}\n".into());
    let told = describe(&world, file).unwrap();
    let constants: Vec<String> = told.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(constants, ["instructions=\"Help people.\"", "functions=[\"a.b\"]", "max_steps=3", "parameters={\"temperature\":0.5}", "some=-1"]);
    assert_eq!(told.functions.len(), 1);
}

#[test]
fn files_are_modules_of_their_folders() {
    let of = |file: &str| Source::of(Path::new("/p"), Path::new(file)).map(|source| (source.kind, source.modules.join("::"), source.is_test));
    assert_eq!(of("/p/functions/rust/shop/order-total.rs"), Some(("functions".into(), "shop::order_total".into(), false)));
    assert_eq!(of("/p/memory/rust/tests/a.rs"), Some(("memory".into(), "tests::a".into(), true)));
    assert_eq!(of("/p/tests/integration/all_test.rs"), Some(("integration".into(), "all_test".into(), true)));
    assert_eq!(of("/p/src/lib.rs"), None);
}

#[test]
fn every_part_of_a_file_is_read_or_refused() {
    for text in [include_str!("../../testee.rs"), include_str!("lex.rs"), include_str!("../../sdk_probe.rs")] {
        assert!(parse(text).is_ok());
        for (at, _) in text.char_indices().step_by(41) {
            let _ = parse(&text[..at]);
            let _ = parse(&text[at..text.len().min(at + 2000)].chars().filter(|c| *c != '(').collect::<String>());
            let mut world = World::new(Path::new("/p"));
            let file = Path::new("/p/functions/rust/a.rs");
            if at % 5 == 0 {
                world.sources.insert(file.into(), text[at..].into());
                let _ = describe(&world, file);
            }
        }
    }
}

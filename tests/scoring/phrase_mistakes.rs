//! What is refused of phrases, keywords and word lists, where, and with which words.

use std::fmt::Write as _;

use bellwether::scoring::Model;

#[test]
fn each_mistake_of_a_phrase_is_told_with_its_place_and_what_to_write() {
    let cases = [
        ("phrases = 5", "5:11", "must be a string, not integer"),
        (
            "phrases = [\"a\", 5]",
            "5:17",
            "must be a string, not integer",
        ),
        ("phrases = [{}]", "5:12", "lacks \"forms\""),
        (
            "phrases = [{ forms = [] }]",
            "5:22",
            "forms = [\"looking for\"",
        ),
        (
            "phrases = [{ forms = \"\u{200b}\" }]",
            "5:22",
            "nobody sees",
        ),
        (
            "phrases = [{ forms = \"\u{301}\", fold_diacritics = true }]",
            "5:22",
            "nobody sees",
        ),
        (
            "phrases = [{ form = \"a\", forms = \"a\" }]",
            "5:14",
            "did you mean \"forms\"?",
        ),
        (
            "phrases = [{ forms = \"a\", fold_diacritics = 1 }]",
            "5:45",
            "must be true or false",
        ),
        (
            "phrases = [{ forms = \"a\", near = \"b\" }]",
            "5:34",
            "must be a table",
        ),
        (
            "phrases = [{ forms = \"a\", near = { before = 1 } }]",
            "5:34",
            "words = [\"not\"",
        ),
        (
            "phrases = [{ forms = \"a\", near = { words = \"b\" } }]",
            "5:34",
            "such as before = 4",
        ),
        (
            "phrases = [{ forms = \"a\", near = { words = \"b\", before = 0 } }]",
            "5:34",
            "such as before = 4",
        ),
        (
            "phrases = [{ forms = \"a\", near = { words = \"b\", before = 33 } }]",
            "5:58",
            "from 0 to 32",
        ),
        (
            "phrases = [{ forms = \"a\", near = { words = \"b\", after = 1.5 } }]",
            "5:57",
            "a whole number from 0 to 32",
        ),
        (
            "phrases = [{ forms = \"a\", near = { words = \"b\", within = 4 } }]",
            "5:49",
            "no key \"within\"",
        ),
        (
            "phrases = [{ forms = \"a\", unless_near = { list = \"negatoin\", before = 1 } }]",
            "5:50",
            "did you mean \"negation\"?",
        ),
        (
            "phrases = [{ forms = \"a\", near = { words = [\"\u{ad}\"], before = 1 } }]",
            "5:45",
            "nobody sees",
        ),
    ];
    for (line, place, words) in cases {
        let source = format!(
            "[scores.s]\n[[signals]]\nname = \"a\"\non = \"post\"\n{line}\npoints = {{ s = 1 }}\n[word_lists]\nnegation = [\"not\"]\n"
        );
        let mistakes = Model::parse(&source).map(|_| ()).unwrap_err();
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(
            told.iter()
                .any(|told| told.starts_with(&format!("{place}:")) && told.contains(words)),
            "{line}: {told:?}"
        );
    }
    for (lists, place, words) in [
        ("[word_lists]\nnegation = []", "3:12", "is empty"),
        ("[word_lists]\nNegation = \"not\"", "3:1", "is no name"),
        ("[word_lists]\nnegation = 5", "3:12", "must be a string"),
        (
            "[word_lists]\nnegation = [\"\u{301}\"]",
            "3:13",
            "nobody sees",
        ),
        ("[[word_lists]]\nnegation = []", "2:1", "a table of lists"),
    ] {
        let mistakes = Model::parse(&format!("[scores.s]\n{lists}\n")).map(|_| ());
        let told = mistakes.unwrap_err()[0].to_string();
        assert!(
            told.starts_with(&format!("{place}:")) && told.contains(words),
            "{lists}: {told}"
        );
    }
}

#[test]
fn forms_words_and_conditions_are_bounded() {
    let signals = |signals: usize, phrases: &str| -> String {
        (0..signals).fold("[scores.s]\n".to_owned(), |mut file, number| {
            writeln!(
                file,
                "[[signals]]\nname = \"a{number}\"\non = \"post\"\nphrases = {phrases}"
            )
            .unwrap();
            file
        })
    };
    let many = format!("{:?}", vec!["a"; 1_001]);
    let near = "{ words = \"b\", before = 1 }";
    for (source, told) in [
        (
            signals(1, &format!("{{ forms = {many} }}")),
            "1001 phrases in one signal; at most 1000",
        ),
        (
            signals(
                1,
                &format!("{{ forms = \"a\", near = {{ words = {many}, before = 1 }} }}"),
            ),
            "1001 words in one list; at most 1000",
        ),
        (
            signals(
                501,
                &format!("{{ forms = \"a\", near = {near}, unless_near = {near} }}"),
            ),
            "1002 conditions on words near phrases; at most 1000",
        ),
        (
            (0..65).fold("[scores.s]\n[word_lists]\n".to_owned(), |file, number| {
                format!("{file}l{number} = \"a\"\n")
            }),
            "65 lists of words; at most 64",
        ),
    ] {
        let mistakes = Model::parse(&source).map(|_| ()).unwrap_err();
        assert!(mistakes[0].to_string().contains(told), "{mistakes:?}");
    }
}

//! Reads from a Markdown file where its links lead, and what can be linked to.
use pulldown_cmark::{BrokenLink, Event, LinkType, Options, Parser, Tag, TagEnd};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A Markdown file.
#[derive(Default)]
pub struct Document {
    /// The names that a fragment may have: slugs of headings, and `id`s in HTML.
    pub anchors: BTreeSet<String>,
    /// Targets of links and images, in the order of their appearance.
    pub links: Vec<String>,
    /// Labels of reference links that the file does not define.
    pub undefined: Vec<String>,
    /// The headings, each with its level.
    pub headings: Vec<(u8, String)>,
    /// Numbers of the reference (`P31`, `§5.2`) that are mentioned without a link.
    pub unlinked: Vec<String>,
}

impl Document {
    /// Reads the text of a file.
    pub fn read(text: &str) -> Document {
        let undefined = RefCell::new(Vec::new());
        let note = |link: BrokenLink<'_>| {
            // Brackets around a word are no link, unless the word is one that must always be linked.
            let shortcut = matches!(link.link_type, LinkType::Shortcut | LinkType::ShortcutUnknown);
            if !shortcut || !citations(&link.reference).is_empty() {
                undefined.borrow_mut().push(link.reference.to_string());
            }
            None
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        let mut parser = Parser::new_with_broken_link_callback(text, options, Some(note));
        let mut document = Document::default();
        document.links.extend(parser.reference_definitions().iter().map(|(_, to)| to.dest.to_string()));
        document.follow(&mut parser);
        drop(parser);
        document.undefined = undefined.into_inner();
        document
    }

    fn follow<'a>(&mut self, events: impl Iterator<Item = Event<'a>>) {
        let mut slugs = BTreeMap::new();
        let mut heading: Option<String> = None;
        let (mut inside_link, mut inside_code, mut names_itself) = (false, false, false);
        for event in events {
            names_itself &= !matches!(event, Event::End(_));
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(level)) => {
                    let text = heading.take().expect("a heading ends that has begun");
                    self.anchors.insert(unique(&mut slugs, slug(&text)));
                    self.headings.push((level as u8, text));
                }
                Event::Start(Tag::Link { dest_url, .. }) => {
                    inside_link = true;
                    self.links.push(dest_url.to_string());
                }
                Event::End(TagEnd::Link) => inside_link = false,
                Event::Start(Tag::Image { dest_url, .. }) => self.links.push(dest_url.to_string()),
                Event::Start(Tag::CodeBlock(_)) => inside_code = true,
                Event::End(TagEnd::CodeBlock) => inside_code = false,
                Event::Html(html) | Event::InlineHtml(html) => {
                    self.anchors.extend(attributes(&html, "id"));
                    self.links.extend(attributes(&html, "href").chain(attributes(&html, "src")));
                    // The number directly after an anchor is the one that the anchor is for.
                    names_itself = html.ends_with("</a>");
                }
                Event::Text(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    } else if !inside_link && !inside_code {
                        self.unlinked.extend(citations(&text).into_iter().skip(usize::from(names_itself)));
                    }
                    names_itself = false;
                }
                Event::Code(code) => heading.iter_mut().for_each(|heading| heading.push_str(&code)),
                _ => {}
            }
        }
    }
}

/// The anchor that GitHub gives to a heading.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The slug of the next heading with this text: the second gets `-1` appended, the third `-2`.
fn unique(seen: &mut BTreeMap<String, usize>, slug: String) -> String {
    let times = seen.entry(slug.clone()).or_default();
    *times += 1;
    if *times == 1 { slug } else { format!("{slug}-{}", *times - 1) }
}

/// The values of an attribute in a piece of HTML.
fn attributes(html: &str, name: &str) -> impl Iterator<Item = String> {
    let opening = format!(" {name}=\"");
    let values: Vec<_> =
        html.split(&opening).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
    values.into_iter()
}

/// The numbers of the reference in a text: P, H, D, L and sections.
fn citations(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '§' | '_'));
    words.filter(|word| word.starts_with('§') || is_numbered(word)).map(str::to_owned).collect()
}

/// Whether a word is a number of the reference: one of its letters, followed by a number.
fn is_numbered(word: &str) -> bool {
    let number = word.strip_prefix(['P', 'H', 'D', 'L']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit())
}

#[test]
fn a_document_is_read_as_github_shows_it() {
    let document = Document::read(
        "# The `a_b` of *C*, twice!\n\n## Twice\n\n## Twice\n\n<a id=\"p1\"></a>P1 asks [P2], [P3], `P4` and P5 (§6.1).\n\n<a id=\"p6\"></a>\n\nP6\n\n\
         | a | b |\n| --- | --- |\n| [x](y.md#z) | [Vec] [here][there] |\n\n\
         ```rust\n# no heading: [P7]\n```\n\n![picture](p.svg)\n\n[P2]: q.md#p2\n",
    );
    assert_eq!(document.anchors, ["p1", "p6", "the-a_b-of-c-twice", "twice", "twice-1"].map(str::to_owned).into());
    assert_eq!(document.links, ["q.md#p2", "q.md#p2", "y.md#z", "p.svg"]);
    assert_eq!(document.undefined, ["P3", "there"]);
    assert_eq!(document.unlinked, ["P3", "P5", "§6", "P6"]);
    assert_eq!(document.headings[1], (2, "Twice".to_owned()));
}

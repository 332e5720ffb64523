//! Arrays as PostgreSQL writes them in a text.

/// Splits an array of one dimension that is written as a text, such as `{1,2,NULL}`; an element that is None is NULL. None
/// where it is no such array.
pub fn array_elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    if inner.trim().is_empty() {
        return Some(elements);
    }
    let mut letters = inner.chars();
    loop {
        let (mut element, mut is_quoted, mut has_more) = (String::new(), false, false);
        while let Some(letter) = letters.next() {
            match letter {
                ',' => {
                    has_more = true;
                    break;
                }
                '"' if element.trim().is_empty() && !is_quoted => {
                    is_quoted = true;
                    element.clear();
                    loop {
                        match letters.next()? {
                            '"' => break,
                            '\\' => element.push(letters.next()?),
                            letter => element.push(letter),
                        }
                    }
                }
                // An array in an array, and what stands behind a quote.
                '{' | '}' | '"' => return None,
                letter if is_quoted && !letter.is_whitespace() => return None,
                _ if is_quoted => {}
                '\\' => element.push(letters.next()?),
                letter => element.push(letter),
            }
        }
        let plain = element.trim();
        elements.push(match is_quoted {
            true => Some(element),
            false if plain.is_empty() => return None,
            false if plain.eq_ignore_ascii_case("null") => None,
            false => Some(plain.to_owned()),
        });
        if !has_more {
            return Some(elements);
        }
    }
}

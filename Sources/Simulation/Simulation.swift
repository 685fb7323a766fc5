// Worlds that events come from, without a network and without a clock.
//
// What lives here makes events and knows the truth about them; it must not know how they are
// processed, stored or sent. Everything is a function of its settings: chance is drawn by
// counter (`Chance`), popularity from integer tables (`Popularity`), and nothing calls the C
// library's mathematics, so one seed gives the same bytes on every machine. A history is what it
// is; a `Market` answers to what is bid in it.

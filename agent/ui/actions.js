// What can be done about a thing, as buttons; each asks before it does (dom.js confirm). None yet.
export function instanceActions() { return []; }
export function serviceActions() { return []; }
export function nodeActions() { return []; }

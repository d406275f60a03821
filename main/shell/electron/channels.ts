/** A line of the window's conversation, either way. */
export const lineChannel = 'homeward:line';
/** The page listens, and may be spoken to. */
export const readyChannel = 'homeward:ready';

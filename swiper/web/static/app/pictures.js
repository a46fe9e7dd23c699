// A person's pictures, the avatar first.
export const picturesOf = (card) => [card.avatar, ...(card.photos ?? []).map((photo) => photo.url)].filter(Boolean);

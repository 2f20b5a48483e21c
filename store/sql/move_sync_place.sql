-- A place only moves forward: of two syncs of one source the one that is further counts.
INSERT INTO sync_places AS held (source, place)
VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE
SET place = excluded.place, moved_at = now()
WHERE held.place < excluded.place

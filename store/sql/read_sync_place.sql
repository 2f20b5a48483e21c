SELECT place FROM sync_places
WHERE source = $1

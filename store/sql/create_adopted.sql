-- The letters that a swap has made, so that a rollback takes these away and no others.
CREATE TABLE shadow_schema.adopted (id bigint PRIMARY KEY)

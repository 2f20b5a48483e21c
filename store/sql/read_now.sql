SELECT now() AS moment

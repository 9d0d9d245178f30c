-- KEYS: version, stops, items. Returns version, stops and items as of one moment.
return {redis.call('GET', KEYS[1]) or '0', redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3])}

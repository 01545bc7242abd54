# An assistant that tidies up. Talk to it: sabir chat janitor "How large are 1536 bytes?"

instructions="You help people who look after backups. Call backups.readable with a number of bytes, and backups.expired with the
files' names. Answer in one short sentence."

functions=(backups.readable backups.expired)

max_steps=4

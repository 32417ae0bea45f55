/** Step 3 of the schema: who a user certificate is for, and the sign-ins that renewals of users are decided from. */
export const userStep = `
  -- Of a user, the same at each sign-in; null for hosts.
  ALTER TABLE certificates ADD COLUMN identity TEXT;

  -- One row for each sign-in; its certificates have the session in their column lineage.
  CREATE TABLE sign_ins (
    session TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    provisioner TEXT NOT NULL,
    principals TEXT NOT NULL,
    claims TEXT,
    signed_in_at INTEGER NOT NULL,
    -- When something of it was revoked: nothing renews it then.
    ended_at INTEGER
  ) STRICT, WITHOUT ROWID;
`;

# Production, of the module aws/. What is "" or [] is blank and has to be filled in: `sabir deploy plan --env production` says which.
# What each one is, and what else can be said: aws/variables.tf. Nothing here is a secret.

region             = "" # blank: eu-central-1
vpc_id             = "" # blank: aws ec2 describe-vpcs
public_subnet_ids  = [] # blank: two, in different zones: aws ec2 describe-subnets
instance_subnet_id = "" # blank: one with a NAT gateway
certificate_arn    = "" # blank: aws acm list-certificates
domain             = "" # blank: www.example.com
image_id           = "" # blank: aws ssm get-parameter --name /aws/service/canonical/ubuntu/server/26.04/stable/current/amd64/hvm/ebs-gp3/ami-id

instance_type  = "m7i.large"
state_gib      = 100
kept_snapshots = 30
log_days       = 365

# Staging, of the module aws/. What is "" or [] is blank and has to be filled in: `sabir deploy plan --env staging` says which.
# What each one is, and what else can be said: aws/variables.tf. Nothing here is a secret.

region             = "" # blank: eu-central-1
vpc_id             = "" # blank: aws ec2 describe-vpcs
public_subnet_ids  = [] # blank: two, in different zones: aws ec2 describe-subnets
instance_subnet_id = "" # blank: one with a NAT gateway
certificate_arn    = "" # blank: aws acm list-certificates
domain             = "" # blank: staging.example.com
image_id           = "" # blank: aws ssm get-parameter --name /aws/service/canonical/ubuntu/server/26.04/stable/current/amd64/hvm/ebs-gp3/ami-id

instance_type = "t3.medium"
state_gib     = 20
protected     = false

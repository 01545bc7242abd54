module sabirtools

go 1.19
